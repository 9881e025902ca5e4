"""Connections that begin with a PROXY line, and those that should."""

from __future__ import annotations

from tests.proxycase import MANIFEST, ProxyTestCase

V1 = b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n"


class ProxyLinesTests(ProxyTestCase):
    """`tests.transport.test_listening` has what a good line does."""

    listen = "proxy:tcp:0:interface=127.0.0.1"
    main = "trusted-proxies = 127.0.0.1"

    async def test_none(self) -> None:
        """What is no PROXY line is in the log, once, with the proxy's address."""
        for data in (
            b"GET /v2/ HTTP/1.1\r\n\r\n",
            b"PROXY x\r\n" + b"x" * 200,
            b"\x16\x03\x01" + bytes(40),
        ):
            told = self.event()
            client = await self.connect()
            client.send(data)
            await client.end()
            event = await told
            self.assertEqual(event["client"], "127.0.0.1")
            self.assertEqual(event["cause"], "client-malformed")
            self.assertEqual(
                event["outcome"], "malformed: no PROXY line, on a proxy: listener"
            )
            self.assertEqual(bytes(client.seen), b"")

    async def test_check(self) -> None:
        """A balancer that only connects, to see who listens, is not told of."""
        client = await self.connect()
        client.close()
        await client.end()
        told = self.event()
        client = await self.connect()
        client.send(V1)
        client.request("GET", MANIFEST)
        (await self.upstream.call()).reply(404)
        await client.reply()
        self.assertEqual((await told)["status"], 404)

    async def test_closed_later(self) -> None:
        """A connection that ends after its line has no such event."""
        told = self.event()
        client = await self.connect()
        client.send(V1)
        client.send(b"nonsense\r\n\r\n")
        await client.end()
        event = await told
        self.assertEqual(event["client"], "203.0.113.7")
        self.assertNotIn("PROXY", event["outcome"])
