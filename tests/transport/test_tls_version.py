"""The version of TLS in the log."""

from __future__ import annotations

from tests.certificates import Looking
from tests.proxycase import MANIFEST, ProxyTestCase


class TLSVersionTests(ProxyTestCase):
    listen = "tls:0:interface=127.0.0.1"

    async def test_tls(self) -> None:
        """It is the version that the client and regbroker have agreed on."""
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
