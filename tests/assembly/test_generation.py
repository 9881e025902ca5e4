"""Which objects of one generation are those of the next."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.generation import Generation
from regbroker.assembly.identities import IssuerKeysService
from regbroker.assembly.part import Part
from regbroker.settings.ini import parse_config
from regbroker.web.serving import UnderWay
from tests.certificates import authority, issued

CONFIG = """
[regbroker]
state-directory = .
[registry own.test]
upstream = one
accounts = staff
namespaces = * = *
[registry hub.test]
upstream = one, two
namespaces = * = *
[upstream one]
url = http://127.0.0.1:5001
[upstream two]
url = http://127.0.0.1:5002
ca-file = ca.pem
[accounts staff]
htpasswd = htpasswd
[access staff]
alice = **: pull
"""

IDENTITY = "[identity ci]\nissuer = https://issuer.test\naudience = own.test\n"


class GenerationTests(SynchronousTestCase):
    """Nothing is started."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        (self.directory / "htpasswd").write_text("")
        (self.directory / "ca.pem").write_bytes(authority().certificate)
        self.first = self.build(CONFIG)

    def build(
        self, text: str, before: Generation | None = None, part: Part | None = None
    ) -> Any:
        """The generation of a configuration."""
        config = parse_config(text, PurePath(self.directory), lambda path: None)
        return Generation(
            config.in_use(), cast(Any, Clock()), {}, UnderWay(), None, before, part
        )

    def next(self, *changes: str) -> Any:
        """The generation after the first; `changes` are texts, old and new in turns."""
        text = CONFIG
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            self.assertIn(old, text)
            text = text.replace(old, new)
        return self.build(text, self.first)

    def registry(self, generation: Any, host: str) -> Any:
        """What answers for a host."""
        return generation.root._registries[host]

    def assert_same_registries(self, other: Any, *hosts: str) -> None:
        """These registries, and no others, are taken over."""
        taken = [
            host
            for host in ("own.test", "hub.test")
            if self.registry(other, host) is self.registry(self.first, host)
        ]
        self.assertEqual(taken, list(hosts))

    def test_nothing_changed(self) -> None:
        """Everything is taken over, but for the root, which counts its requests."""
        other = self.next()
        self.assertEqual(other.services, self.first.services)
        self.assert_same_registries(other, "own.test", "hub.test")
        self.assertIsNot(other.root.under_way, self.first.root.under_way)

    def test_rules(self) -> None:
        """Other rules are another registry, over the same upstreams."""
        other = self.next(
            "upstream = one, two\nnamespaces = * = *",
            "upstream = one, two\nnamespaces = a = b",
        )
        self.assertEqual(other.services, self.first.services)
        self.assert_same_registries(other, "own.test")

    def test_upstream(self) -> None:
        """Another upstream is new, and so are the registries that it is behind."""
        other = self.next("127.0.0.1:5002", "127.0.0.1:5003")
        one, two, staff = self.first.services
        self.assertIs(other.services[0], one)
        self.assertIsNot(other.services[1], two)
        self.assertIs(other.services[2], staff)
        self.assert_same_registries(other, "own.test")

    def test_issuer_keys(self) -> None:
        """Who leaves clients to others fetches no keys; each of those does."""
        text = CONFIG.replace("accounts = staff", "accounts = staff, ci") + IDENTITY
        for serves in (True, False):
            part = Part(workers=2, serves=serves)
            generation = self.build(text, part=part)
            fetching = [
                each
                for each in generation.services
                if isinstance(each, IssuerKeysService)
            ]
            self.assertEqual(bool(fetching), serves)

    def test_identity(self) -> None:
        """What tokens must say may change, and the issuer's keys are kept."""
        text = CONFIG.replace("accounts = staff", "accounts = staff, ci") + IDENTITY
        first = self.build(text)
        same = self.build(text, first)
        self.assertIs(self.registry(same, "own.test"), self.registry(first, "own.test"))
        other = self.build(text.replace("= own.test", "= other.test"), first)
        self.assertEqual(other.services, first.services)
        self.assertIsNot(
            self.registry(other, "own.test"), self.registry(first, "own.test")
        )
        self.assertIs(
            self.registry(other, "hub.test"), self.registry(first, "hub.test")
        )
        moved = self.build(text.replace("issuer.test", "moved.test"), first)
        self.assertIsNot(moved.issuer_keys["ci"], first.issuer_keys["ci"])

    def test_contents(self) -> None:
        """An authority in the same file is another one."""
        (self.directory / "ca.pem").write_bytes(authority("Other CA").certificate)
        other = self.next()
        self.assertIsNot(other.services[1], self.first.services[1])
        self.assert_same_registries(other, "own.test")

    def test_client_certificate(self) -> None:
        """A client certificate that was renewed in the same file is another one."""
        change = (
            "url = http://127.0.0.1:5001",
            "url = https://127.0.0.1:5001\nclient-certificate = c.pem\n"
            "client-key = c.key",
        )
        issued("first").write(self.directory, "c")
        self.first = self.next(*change)
        self.assertIs(self.next(*change).services[0], self.first.services[0])
        issued("second").write(self.directory, "c")
        other = self.next(*change)
        self.assertIsNot(other.services[0], self.first.services[0])
        self.assertIs(other.services[1], self.first.services[1])

    def test_accounts(self) -> None:
        """Other accounts keep the count of wrong passwords."""
        (self.directory / "more").write_text("")
        other = self.next("htpasswd = htpasswd", "htpasswd = htpasswd\n    more")
        checks, before = other.services[2].checks, self.first.services[2].checks
        self.assertIsNot(checks, before)
        self.assertIs(checks._throttle, before._throttle)
        self.assert_same_registries(other, "hub.test")

    def test_access(self) -> None:
        """Other rights are another registry, with the same accounts."""
        other = self.next("alice = **: pull", "alice = **: pull, push")
        self.assertEqual(other.services, self.first.services)
        self.assert_same_registries(other, "hub.test")

    def test_less(self) -> None:
        """What is no longer there is not a part of it."""
        start = CONFIG.index("[registry hub.test]")
        end = CONFIG.index("[upstream one]")
        other = self.next(CONFIG[start:end], "")
        one, _, staff = self.first.services
        self.assertEqual(other.services, [one, staff])
