"""IPv4 clients of a listener for IPv6 and IPv4 together."""

from __future__ import annotations

from tests.proxycase import MANIFEST, ProxyTestCase
from tests.scripted import response


class DualStackTests(ProxyTestCase):
    listen = r"tcp:0:interface=\:\:"

    async def test_address(self) -> None:
        """They have their IPv4 address, upstream and in the log."""
        told = self.event()
        call = await self.relayed("GET", MANIFEST)
        for name in (b"X-Forwarded-For", b"X-Real-IP"):
            self.assertEqual(call.header(name), b"127.0.0.1")
        call.answer(response(404))
        await self.client.reply("GET")
        self.assertEqual((await told)["client"], "127.0.0.1")

    async def test_malformed(self) -> None:
        """So they have where they send no HTTP: a filter bans what is written there."""
        told = self.event()
        self.client.send(b"nonsense\r\n\r\n")
        self.assertEqual((await told)["client"], "127.0.0.1")


class BehindProxyTests(ProxyTestCase):
    listen = r"tcp:0:interface=\:\:"
    main = "trusted-proxies = 127.0.0.1"

    async def test_believed(self) -> None:
        """A proxy that is named by its IPv4 address is believed."""
        call = await self.relayed("GET", MANIFEST, "X-Forwarded-For: 203.0.113.7")
        self.assertEqual(call.header(b"X-Real-IP"), b"203.0.113.7")
        self.assertEqual(call.header(b"X-Forwarded-For"), b"203.0.113.7, 127.0.0.1")
