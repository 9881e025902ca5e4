"""Plain HTTP on a port for TLS."""

from __future__ import annotations

from regbroker.transport.server.lingering import MAX_LINGER_BYTES
from tests.certificates import Looking
from tests.proxycase import MANIFEST, ProxyTestCase


class PlainHTTPTests(ProxyTestCase):
    listen = "tls:0:interface=127.0.0.1"

    async def refused(self, data: bytes) -> bytes:
        """What a client reads until the end when it sends this."""
        client = await self.connect()
        client.send(data)
        answer = await client.end()
        return bytes(answer)

    async def test_told(self) -> None:
        """The answer is readable without TLS, ends in order, and is in the log."""
        told = self.event()
        answer = await self.refused(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"))
        self.assertIn(b"write https://", answer)
        event = (await told)["event"]
        self.assertEqual((event.client, event.status), ("127.0.0.1", 400))
        self.assertIn("plain HTTP", event.outcome)

    async def test_one_byte(self) -> None:
        """The first byte decides, however much comes with it."""
        self.assertIn(b" 400 ", await self.refused(b"P"))

    async def test_head(self) -> None:
        """The answer to HEAD has no body."""
        answer = await self.refused(b"HEAD / HTTP/1.1\r\n\r\n")
        self.assertTrue(answer.endswith(b"\r\n\r\n"))

    async def test_too_much(self) -> None:
        """A client that goes on sending is cut off, after it could read."""
        client = await self.connect()
        client.send(b"PUT / HTTP/1.1\r\n\r\n" + bytes(MAX_LINGER_BYTES + 65536))
        while client.lost is None:
            await self.turn()
        self.assertIn(b" 400 ", client.seen)

    async def test_tls(self) -> None:
        """A TLS client loses nothing."""
        client = await self.connect(Looking())
        client.request("GET", MANIFEST)
        (await self.upstream.call()).reply(404)
        self.assertEqual((await client.reply()).status, 404)

    async def test_garbage(self) -> None:
        """What is neither is no business of ours: OpenSSL ends it."""
        self.assertNotIn(b" 400 ", await self.refused(b"\x00" * 16))
