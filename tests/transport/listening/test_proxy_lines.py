"""Connections that begin with a PROXY line, and those that should."""

from __future__ import annotations

from regbroker.runtime import bounded_lines
from tests.protocol.test_proxy_header import BAD, INET, v2
from tests.proxycase import MANIFEST, ProxyTestCase

V1 = b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n"
V2 = v2(INET)


class ProxyLinesTests(ProxyTestCase):
    """`tests.transport.listening.test_services` has what a good line does."""

    listen = "proxy:tcp:0:interface=127.0.0.1"
    main = "trusted-proxies = 127.0.0.1"

    async def test_none(self) -> None:
        """What is no PROXY line is in the log, once, with the proxy's address."""
        self.patch(bounded_lines, "MAX_LINES_OF_A_CLIENT", len(BAD))
        for data, _ in BAD:
            told = self.event()
            client = await self.connect()
            client.send(data + b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await client.end()
            event = await told
            self.assertEqual(event["client"], "127.0.0.1")
            self.assertEqual(event["cause"], "client-malformed")
            self.assertRegex(
                event["outcome"], "^malformed: .* PROXY .*, on a proxy: listener$"
            )
            self.assertEqual(bytes(client.seen), b"", data)

    async def test_pieces(self) -> None:
        """A line that comes byte by byte is a line."""
        for line in (V1, V2):
            told = self.event()
            client = await self.connect()
            for number in range(len(line)):
                client.send(line[number : number + 1])
                await self.turn()
            client.request("GET", "/v2/none/x/tags/list")
            self.assertEqual((await client.reply()).status, 404)
            self.assertEqual((await told)["client"], "203.0.113.7")

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
