"""Sections of the status page, at their edges."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.template import flattenString

from regbroker.admin.certificates import ServedCertificate
from regbroker.admin.monitor import Monitor
from regbroker.admin.sections import MAX_RULES, MAX_TRANSFERS, contents
from regbroker.admin.transfers import Transfer
from regbroker.admin.watched import Watched, WatchedUpstream
from regbroker.events import Event
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.settings.config import RegistryConfig
from regbroker.transport.listening.entrance import build_entrance
from regbroker.transport.server.site import StreamingSite
from regbroker.upstream.registry import Upstream
from regbroker.upstream.token_cache import TokenCache
from regbroker.web.serving import UnderWay
from tests.admin.test_status import Elements
from tests.settings.test_config import registry, upstream

NOW = 1.8e9
DAY = 86400


class SectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        reactor: Any = MemoryReactorClock()
        self.clock = reactor
        self.upstream = Upstream(upstream(), reactor)
        self.tokens = TokenCache(lambda: NOW)
        self.monitor = Monitor(self.clock, lambda: NOW, lambda: False)

    def text(
        self,
        *transfers: Transfer,
        entry: RegistryConfig | None = None,
        certificates: tuple[ServedCertificate, ...] = (),
    ) -> str:
        """What people read."""
        self.monitor.watch(
            Watched(
                (entry or registry(),),
                {"up": WatchedUpstream(self.upstream, self.tokens)},
                UnderWay(),
                build_entrance(self.clock, (), 60),
                StreamingSite(Resource(), reactor=self.clock),
                certificates,
            )
        )
        flat: Any = flattenString(None, contents(self.monitor, transfers))
        assert isinstance(flat, Deferred)
        html = self.successResultOf(flat).decode()
        return " ".join(" ".join(Elements(html).texts).split())

    def test_many_transfers(self) -> None:
        """A page has room for some; how many there are more is said."""
        event = Event(self.clock.seconds, method="PUT", endpoint="upload")
        one = Transfer(event, True, 5, 10, 1.0)
        text = self.text(*[one] * (MAX_TRANSFERS + 3))
        self.assertEqual(text.count("5 B of 10 B"), MAX_TRANSFERS)
        self.assertIn(f"Under way · {MAX_TRANSFERS + 3}", text)
        self.assertIn("and 3 more", text)

    def test_many_rules(self) -> None:
        """Of many rules the first are shown."""
        rules = [parse_rule(f"n{number} = m{number}") for number in range(30)]
        entry = registry(mapping=NameMapping(rules, ["up"]))
        text = self.text(entry=entry)
        self.assertEqual(text.count("→"), MAX_RULES)
        self.assertIn(f"and {30 - MAX_RULES} more", text)

    def test_traits(self) -> None:
        """What a registry does otherwise than by default."""
        text = self.text(entry=registry(host="a.test", accounts="staff", writes="deny"))
        self.assertIn("a.test", text)
        self.assertIn("to up · [accounts staff] · read-only", text)
        text = self.text(entry=registry(redirects="follow"))
        self.assertIn("every other host", text)
        self.assertIn("accounts of the upstream · follows redirects", text)

    def test_circuits(self) -> None:
        """A circuit that is open, an account at its limit, and why."""
        circuits, tokens = self.upstream.circuits, self.upstream.token_circuits
        circuits.failed("", 503, None, self.clock.seconds())
        circuits.tripped("the upstream did not answer")
        tokens.failed("alice", 429, 60.0, self.clock.seconds())
        tokens.tripped("a limit")
        text = self.text()
        self.assertIn("circuit open", text)
        self.assertIn("tokens: 1 at a limit", text)
        self.assertIn("2 circuit trips", text)
        self.assertIn("the upstream did not answer", text)

    def test_tokens(self) -> None:
        """How much the tokens in memory have saved."""
        self.assertNotIn("in memory", self.text())
        self.tokens.hits, self.tokens.misses = 3000, 1000
        self.assertIn("0 tokens in memory · 75 % of 4,000 found there", self.text())

    def test_certificates(self) -> None:
        """The days that are left, the nearest end first; and one that has ended."""
        text = self.text(
            certificates=(
                ServedCertificate("tls", ("a.test", "*.a.test"), NOW + 30 * DAY),
                ServedCertificate("tls b.test", ("b.test",), NOW + 1.5 * DAY),
                ServedCertificate("tls c.test", (), NOW - 1),
            )
        )
        found = [text.index(each) for each in ("has ended", "1 day left", "30 days")]
        self.assertEqual(found, sorted(found))
        self.assertIn("a.test, *.a.test", text)
        self.assertIn("until 2027-02-14 08:00 UTC", text)
