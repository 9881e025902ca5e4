"""What a connection says of all of its requests."""

from __future__ import annotations

from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from regbroker.transport.server.client_connection import (
    ClientConnection,
    client_connection,
)
from tests.certificates import Looking
from tests.channelcase import ChannelTestCase, answer
from tests.proxycase import MANIFEST, ProxyTestCase


class ConnectionTests(ChannelTestCase):
    async def test_one_for_all(self) -> None:
        """It is looked at once for all requests of a connection."""
        seen = []
        for _ in range(2):
            request = await self.received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            seen.append(client_connection(request))
            answer(request)
            await self.client.reply()
        self.assertEqual(seen[0], ClientConnection("127.0.0.1", False, ""))
        self.assertIs(seen[0], seen[1])


class OtherSiteTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """A request of another site is looked at, too; a Unix socket has no address."""
        channel = DummyChannel()
        request = Request(channel, False)
        peer = channel.getPeer().host
        self.assertEqual(client_connection(request).peer, peer)
        self.assertFalse(client_connection(request).is_secure)
        request.client = UNIXAddress(b"/run/x")
        self.assertEqual(client_connection(request).peer, "unix")


class TLSTests(ProxyTestCase):
    listen = "tls:0:interface=127.0.0.1"

    async def test_tls(self) -> None:
        """The version is that on which the client and regbroker have agreed."""
        told = self.event()
        client = await self.connect(Looking())
        client.request("GET", MANIFEST)
        (await self.upstream.call()).reply(404)
        await client.reply()
        self.assertRegex((await told)["tls"], r"^TLSv1\.[23]$")


class PlainTests(ProxyTestCase):
    async def test_none(self) -> None:
        """Without TLS there is none."""
        told = self.event()
        (await self.relayed("GET", MANIFEST)).reply(404)
        await self.client.reply()
        self.assertIs((await told)["tls"], None)
