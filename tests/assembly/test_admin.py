"""The admin listener, and what it is told about, from a configuration."""

from __future__ import annotations

from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from regbroker.admin.watched import Watched
from regbroker.assembly.admin import build_admin, watched
from regbroker.assembly.upstreams import build_upstream
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config
from regbroker.transport.listening.entrance import build_entrance
from regbroker.transport.server.site import StreamingSite
from regbroker.web.serving import UnderWay
from tests.certificates import issued

CONFIG = """
[regbroker]
listen = {listen}
state-directory = state
{main}
[registry *]
upstream = up
namespaces = * = *
[upstream up]
url = http://127.0.0.1:5000
{more}
"""
OWN = """
[tls]
certificate = server.pem
key = server.key
[tls b.test]
certificate = other.pem
key = other.key
"""


class AdminAssemblyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        (self.directory / "state").mkdir(parents=True)
        for name, host in (("server", "a.test"), ("other", "b.test")):
            issued(host, f"www.{host}").write(self.directory, name)
        self.reactor: Any = MemoryReactorClock()

    def config(self, main: str = "", listen: str = "tcp:80", more: str = "") -> Config:
        """The configuration of one registry."""
        text = CONFIG.format(listen=listen, main=main, more=more)
        return parse_config(text, PurePath(self.directory), lambda path: None)

    issuer_keys = SimpleNamespace(keys=("key",), problem="")

    def watched(self, config: Config) -> Watched:
        """What the admin listener is told about."""
        self.upstreams = {
            name: build_upstream(entry, config, self.reactor)
            for name, entry in config.upstreams.items()
        }
        self.entrance = build_entrance(self.reactor, (), 60)
        self.site = StreamingSite(Resource(), reactor=self.reactor)
        self.under_way = UnderWay()
        keys: Any = SimpleNamespace(keys=self.issuer_keys)
        return watched(
            config,
            self.upstreams,
            self.under_way,
            self.entrance,
            self.site,
            {"ci": keys},
        )

    def names(self, config: Config) -> dict[str, tuple[str, ...]]:
        """The names of the certificates that are shown, by section."""
        certificates = self.watched(config).certificates
        return {one.section: one.names for one in certificates}

    def test_off(self) -> None:
        """Without its option there is no admin listener."""
        self.assertIsNone(build_admin(self.config(), self.reactor, lambda: False))

    def test_on(self) -> None:
        """With it there is one, which knows whether the service drains."""
        draining = False
        config = self.config("admin-listen = tcp:9000")
        admin = build_admin(config, self.reactor, lambda: draining)
        assert admin is not None
        admin.monitor.watch(self.watched(config))
        self.assertFalse(admin.monitor.readiness_now().draining)
        draining = True
        self.assertTrue(admin.monitor.readiness_now().draining)
        self.assertEqual(self.reactor.tcpServers, [])

    def test_identities(self) -> None:
        """An identity is up while there are keys, and the last fetch was good."""
        is_up = self.watched(self.config()).identities["ci"]
        self.assertTrue(is_up())
        self.issuer_keys = SimpleNamespace(keys=("key",), problem="it is down")
        self.assertFalse(self.watched(self.config()).identities["ci"]())
        self.issuer_keys = SimpleNamespace(keys=None, problem="")
        self.assertFalse(self.watched(self.config()).identities["ci"]())

    def test_watched(self) -> None:
        """It is told about the objects that serve, not about copies of them."""
        config = self.config("metrics-repositories = yes")
        told = self.watched(config)
        self.assertEqual(told.registries, config.registries)
        service = self.upstreams["up"]
        self.assertIs(told.upstreams["up"].upstream, service.upstream)
        self.assertIs(told.upstreams["up"].tokens, service.tokens.cache)
        self.assertIs(told.under_way, self.under_way)
        self.assertIs(told.entrance, self.entrance)
        self.assertIs(told.site, self.site)
        self.assertTrue(told.counts_repositories)

    def test_without_tls(self) -> None:
        """Without a TLS listener nothing is shown, whatever the sections say."""
        self.assertEqual(self.names(self.config()), {})
        self.assertEqual(self.names(self.config(more=OWN)), {})

    def test_own(self) -> None:
        """Each section's certificate, with the names that it is for."""
        self.assertEqual(
            self.names(self.config(listen="tls:443", more=OWN)),
            {"tls": ("a.test", "www.a.test"), "tls b.test": ("b.test", "www.b.test")},
        )

    def test_self_signed(self) -> None:
        """Without a section it is the one that regbroker has made."""
        config = self.config(listen="tls:443")
        self.assertEqual(self.names(config), {})
        pem = self.directory / "state" / "self-signed.pem"
        pem.write_bytes(issued("localhost").certificate)
        self.assertEqual(self.names(config), {"self-signed": ("localhost",)})

    def test_gone(self) -> None:
        """A file that is being replaced is left out, the others are shown."""
        config = self.config(listen="tls:443", more=OWN)
        (self.directory / "server.pem").write_bytes(b"half a certifi")
        self.assertEqual(list(self.names(config)), ["tls b.test"])
        (self.directory / "other.pem").unlink()
        self.assertEqual(list(self.names(config)), [])
