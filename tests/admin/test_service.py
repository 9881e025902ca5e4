"""The admin listener: where it listens, and until when."""

from __future__ import annotations

import os
import stat

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory

from tests.admin.case import AdminTestCase
from tests.proxycase import ProxyTestCase
from tests.wire import RawClient


class ListeningTests(AdminTestCase):
    async def test_loopback(self) -> None:
        """Without an address it is on loopback; what is served is apart from it."""
        (url,) = self.admin.urls
        self.assertRegex(url, r"^http://127\.0\.0\.1:[0-9]+$")
        self.assertNotEqual(url, self.url)
        reply = await self.client.ask("GET", "/metrics")
        self.assertEqual((reply.status, reply.code), (404, "UNSUPPORTED"))
        self.assertEqual((await self.ask_admin("/v2/")).status, 404)

    async def test_stopped(self) -> None:
        """Connections that are kept end with the service."""
        (url,) = self.admin.urls
        kept = await self.connect_to(int(url.rpartition(":")[2]))
        self.assertEqual((await kept.ask("GET", "/live")).status, 200)
        await self.stop(self.services[0])
        await kept.end()
        self.assertEqual(self.admin.urls, [])


class UnixTests(AdminTestCase):
    async def set_up(self) -> None:
        self.path = self.mktemp()[-90:].replace("/", "-")
        self.main = f"admin-listen = unix:{self.path}"
        await super().set_up()

    async def test_mode(self) -> None:
        """A unix socket is for its owner and group."""
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o660)
        factory: Factory = Factory.forProtocol(RawClient)
        factory.noisy = False
        endpoint = UNIXClientEndpoint(self.reactor, self.path)
        client = await endpoint.connect(factory)
        assert isinstance(client, RawClient)
        self.clients.append(client)
        self.assertEqual((await client.ask("GET", "/live")).json(), {"live": True})


class WithoutTests(ProxyTestCase):
    async def test_off(self) -> None:
        """Without the option nothing listens, and nothing is counted."""
        self.assertIsNone(self.services[0].admin)
        self.assertEqual(self.services[0].under_way.observers, [])
