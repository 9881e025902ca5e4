"""Downloads: every byte in its place, or visibly not."""

from __future__ import annotations

from typing import Any

from tests.proxycase import (
    BLOB,
    ProxyTestCase,
    TLSUpstream,
)
from tests.scripted import response
from tests.wire import Flood

TAGS = "/v2/team/app/tags/list"
REALM = 'realm="http://registry.test/auth"'


class StreamingTests(ProxyTestCase):
    async def test_from_the_first_byte(self) -> None:
        """A body flows as it comes."""
        call = await self.relayed("GET", BLOB)
        call.send(response(200, "Content-Length: 4", body=b"ab"))
        head = await self.client.head()
        self.assertEqual(head.header(b"Content-Length"), b"4")
        self.assertEqual(await self.client.read(2), b"ab")
        call.answer(b"cd")
        self.assertEqual(await self.client.read(2), b"cd")
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)

    async def test_chunked(self) -> None:
        """So does one whose length nobody knows, into chunks of ours."""
        call = await self.relayed("GET", BLOB)
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        head = await self.client.head()
        self.assertEqual(head.header(b"Transfer-Encoding"), b"chunked")
        self.assertEqual(await self.client.chunk(), b"ab")
        call.answer(b"2\r\ncd\r\n0\r\n\r\n")
        self.assertEqual([await self.client.chunk() for _ in "12"], [b"cd", b""])
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)

    async def test_until_close(self) -> None:
        """A body that ends with the upstream's connection has its end here, too."""
        call = await self.relayed("GET", BLOB)
        call.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        call.wire.close()
        self.assertEqual((await self.client.reply()).body, b"abc")

    async def test_large(self) -> None:
        """Every byte of a large body arrives, in its place."""
        body = bytes(range(256)) * 20_000
        reply = await self.exchange("GET", BLOB, response(200, body=body))
        self.assertTrue(reply.body == body)

    async def test_client_does_not_read(self) -> None:
        """A client that does not read stops the reading from the upstream."""
        call = await self.relayed("GET", BLOB)
        call.send(response(200, "Content-Length: 100000000", body=b"x"))
        await self.client.head()
        self.client.pause()
        await self.assert_held_up(Flood(call.wire))

    async def test_client_goes_away(self) -> None:
        """A download that nobody takes any more is ended upstream."""
        call = await self.relayed("GET", BLOB)
        call.send(response(200, "Content-Length: 100", body=b"ab"))
        await self.client.head()
        event = self.event()
        self.client.close()
        await call.wire.end()
        self.assertIn("the client closed", (await event)["event"].outcome)

    async def test_client_goes_away_while_paused(self) -> None:
        """Also when it had stopped reading before."""
        call = await self.relayed("GET", BLOB)
        call.send(response(200, "Content-Length: 100000000", body=b"x"))
        await self.client.head()
        self.client.pause()
        for _ in range(300):
            call.send(bytes(65536))
            await self.turn()
        self.client.reset()
        await call.wire.end()

    async def test_stalled(self) -> None:
        """An upstream that stops in the middle is given up, visibly."""
        call = await self.relayed("GET", BLOB)
        call.send(response(200, "Content-Length: 100", body=b"ab"))
        await self.client.head()
        self.time.clock.pump([800, 101])
        self.assertEqual(await self.client.end(), b"ab")
        self.assertTrue(self.client.closed_in_order)
        await call.wire.end()


class SlowReaderTests(ProxyTestCase):
    """Clients that are slow to read a reply that is made here."""

    async def begun(self) -> int:
        """A list that fills all buffers on its way; its length."""
        names = ",".join(f'"{number:0100}"' for number in range(70_000))
        body = b'{"name":"acme_team/app","tags":[%s]}' % names.encode()
        call = await self.relayed("GET", TAGS)
        told = self.event()
        self.client.pause()
        call.answer(response(200, body=body))
        await told
        for _ in range(100):
            await self.turn()
        return len(body)

    async def test_not_idle(self) -> None:
        """One that reads late gets it whole, and is served further."""
        length = await self.begun()
        self.time.clock.pump([60] * 10)
        await self.turn()
        self.client.resume()
        reply = await self.client.reply()
        self.assertLess(length - 1000, len(reply.body))
        self.assertEqual(len(reply.json()["tags"]), 70_000)
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)
        await self.turn()
        self.time.clock.advance(61)
        await self.client.end()

    async def test_not_for_ever(self) -> None:
        """One that never reads is let go."""
        length = await self.begun()
        self.time.clock.advance(15 * 60)
        self.time.clock.advance(15)
        await self.turn()
        self.client.resume()
        self.assertLess(len(await self.client.end()), length)


class BrokenOffTests(ProxyTestCase):
    """No half transfer looks complete, and clients may go on where it ended."""

    async def broken(self, answer: bytes, how: str, last: bytes = b"") -> bytes:
        """The upstream ends in the middle; what the client gets of the body."""
        self.client = await self.connect()
        call = await self.relayed("GET", BLOB)
        call.send(answer)
        await self.client.head()
        event = self.event()
        call.send(last)
        if how == "reset":
            call.wire.reset()
        else:
            call.wire.close()
        rest = await self.client.end()
        # A reset connection is one to give up, for containerd and others.
        self.assertTrue(self.client.closed_in_order)
        self.assertIn("upstream broke off", (await event)["event"].outcome)
        return rest

    async def assert_without_end(self, *sent: Any) -> None:
        """The client gets no last chunk."""
        self.assertNotIn(b"0\r\n\r\n", await self.broken(*sent))

    async def test_with_length(self) -> None:
        """Fewer bytes than announced."""
        for how in ("close", "reset"):
            answer = response(200, "Content-Length: 9", body=b"a")
            self.assertEqual(await self.broken(answer, how), b"a")

    async def test_chunked(self) -> None:
        """No last chunk, or a chunk that is none."""
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
        for how in ("close", "reset"):
            await self.assert_without_end(head, how)
            await self.assert_without_end(head, how, b"0\r\n")
            await self.assert_without_end(head, how, b"nonsense\r\n")

    async def test_until_close(self) -> None:
        """A connection that breaks is no end of a body."""
        await self.assert_without_end(b"HTTP/1.1 200 OK\r\n\r\nabc", "reset")

    async def test_old_client(self) -> None:
        """Without length or chunks, an end would be that of the body: no end comes."""
        self.client.send(b"GET %s HTTP/1.0\r\nHost: a.test\r\n\r\n" % BLOB.encode())
        call = await self.upstream.call()
        call.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await self.client.until(b"abc")
        call.wire.reset()
        await self.client.end()
        self.assertFalse(self.client.closed_in_order)


class BrokenTLSTests(TLSUpstream, BrokenOffTests):
    """The same over TLS, where an attacker can cut the connection."""

    async def test_close_in_order(self) -> None:
        """With close_notify the end is meant."""
        call = await self.relayed("GET", BLOB)
        call.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        call.wire.close()
        self.assertEqual((await self.client.reply()).body, b"abc")

    async def test_cut(self) -> None:
        """Without it, it is not, though the TCP connection ends in order."""
        call = await self.relayed("GET", BLOB)
        call.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await self.client.head()
        call.wire.socket.transport.loseConnection()
        self.assertNotIn(b"0\r\n\r\n", await self.client.end())


class StreamingTLSTests(TLSUpstream, StreamingTests):
    """Nor is anything else different over TLS."""
