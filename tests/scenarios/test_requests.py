"""One request on a connection, and what is relied upon in Twisted below it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.web.iweb import UNKNOWN_LENGTH

from regbroker.errors import (
    UpstreamMalformed,
    UpstreamUnavailable,
)
from regbroker.transport.client_protocol import MAX_EARLY_REPLY_BYTES
from regbroker.transport.upload_bodies import gather_body
from tests.connectionscase import BodyByHand, ConnectionsTestCase
from tests.scripted import response


class RequestTests(ConnectionsTestCase):
    async def test_on_the_wire(self) -> None:
        """Target and headers are written as given; Host is the upstream's."""
        asking = self.ask(target=b"/v2/a%2Fb/../c?x=%20&y=a+b&&z")
        call = await self.upstream.call()
        self.assertEqual(call.head.line, b"GET /v2/a%2Fb/../c?x=%20&y=a+b&&z HTTP/1.1")
        self.assertEqual(
            call.header(b"Host"), f"127.0.0.1:{self.upstream.port}".encode()
        )
        self.assertEqual(call.head.all(b"A"), [b"1", b"2"])
        self.assertIsNone(call.header(b"Connection"))
        call.reply(200, "X-B: 1", "X-B: 2", "Connection: X-C, keep-alive", body=b"abc")
        reply = await asking
        self.assertEqual((reply.status, reply.length), (200, 3))
        self.assertEqual(reply.header(b"X-B"), b"1")
        self.assertIsNone(reply.header(b"X-D"))
        self.assertEqual(reply.connection_options, {b"x-c", b"keep-alive"})
        self.assertEqual(await gather_body(reply, 3), b"abc")

    async def test_body(self) -> None:
        """A body is sent as it comes, with its length, or in chunks."""
        for length, header in ((4, b"Content-Length"), (UNKNOWN_LENGTH, None)):
            asking, call, body, consumer = await self.uploading(length)
            consumer.write(b"ab")
            first = call.wire.read(2) if header else call.wire.chunk()
            self.assertEqual(await first, b"ab")
            consumer.write(b"cd")
            second = call.wire.read(2) if header else call.wire.chunk()
            self.assertEqual(await second, b"cd")
            body.done.callback(None)
            if not header:
                self.assertEqual(await call.wire.chunk(), b"")
            call.reply(201)
            self.assertEqual((await asking).status, 201)
        self.assertEqual(len(self.upstream.wires), 1)

    async def test_body_fails(self) -> None:
        """What the body fails with is what the request fails with."""
        asking, call, body, consumer = await self.uploading(4)
        consumer.write(b"ab")
        body.done.errback(KeyError("the client's fault"))
        await self.assertFailure(asking, KeyError)
        await call.wire.end()

    async def test_backpressure(self) -> None:
        """An upstream that does not read stops the body."""
        asking, call, body, consumer = await self.uploading()
        call.wire.pause()
        while not body.paused.called:
            consumer.write(bytes(100_000))
            await self.turn()
        self.assertEqual(body.asked, ["pause"])
        call.wire.resume()
        await call.wire.until(b"\r\n")
        asking.cancel()
        await self.assertFailure(asking, CancelledError)

    async def test_cancelled(self) -> None:
        """A request that is cancelled is not left running upstream."""
        asking = self.ask()
        call = await self.upstream.call()
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        await call.wire.end()

    async def test_continue(self) -> None:
        """100 is told at once; the final reply is another one."""
        told: Deferred[None] = Deferred()
        body = BodyByHand(2)
        asking = self.ask(b"PUT", body, lambda: told.callback(None))
        call = await self.upstream.call()
        call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await told
        consumer = await body.started
        consumer.write(b"ab")
        body.done.callback(None)
        self.assertEqual(await call.body(), b"ab")
        call.reply(201)
        self.assertEqual((await asking).status, 201)

    async def test_other_interim_replies(self) -> None:
        """102 and 103 are no replies, and no 100 either."""
        told: list[None] = []
        asking = self.ask(on_continue=lambda: told.append(None))
        call = await self.upstream.call()
        call.send(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
        call.reply(200)
        self.assertEqual((await asking).status, 200)
        self.assertEqual(told, [])


class EarlyReplyTests(ConnectionsTestCase):
    async def assert_refused_early(self, length: Any, *parts: bytes) -> Any:
        """The upstream answers in these parts, in the middle of the upload."""
        asking, call, body, consumer = await self.uploading(length)
        consumer.write(b"ab")
        await call.wire.until(b"ab")
        for part in parts:
            call.send(part)
            await self.turn()
            await self.turn()
        reply = await asking
        self.assertEqual(reply.status, 401)
        self.assertEqual(await gather_body(reply, 100), b"no")
        await body.stopped
        await call.wire.end()
        return reply

    async def test_with_length(self) -> None:
        """The answer is told before the body is out, which is given up."""
        await self.assert_refused_early(10_000_000, response(401, body=b"no"))

    async def test_chunked(self) -> None:
        """Also when nobody knows how much is still to come."""
        await self.assert_refused_early(UNKNOWN_LENGTH, response(401, body=b"no"))

    async def test_in_segments(self) -> None:
        """Also when it comes in pieces: headers, then body."""
        head, end, _ = response(401, body=b"no").partition(b"\r\n\r\n")
        for length in (10_000_000, UNKNOWN_LENGTH):
            await self.assert_refused_early(length, head[:20], head[20:] + end, b"no")
            await self.assert_refused_early(length, head + end, b"n", b"o")

    async def test_until_close(self) -> None:
        """A reply without a length ends with its connection."""
        asking, call, _, consumer = await self.uploading()
        consumer.write(b"ab")
        call.send(b"HTTP/1.1 401 No\r\n\r\nno")
        call.wire.close()
        reply = await asking
        self.assertEqual(await gather_body(reply, 100), b"no")

    async def test_cut_off(self) -> None:
        """A reply that is cut off is a reply still; only its body is not."""
        asking, call, body, consumer = await self.uploading()
        consumer.write(b"ab")
        call.send(response(413, "Content-Length: 100", body=b"too"))
        await self.turn()
        call.wire.close()
        reply = await asking
        self.assertEqual(reply.status, 413)
        await self.assertFailure(gather_body(reply, 100), UpstreamMalformed)
        await body.stopped

    async def test_without_end(self) -> None:
        """A reply that nobody can hold back is not read without end."""
        asking, call, _, _ = await self.uploading()
        call.send(response(401, f"Content-Length: {MAX_EARLY_REPLY_BYTES * 3}"))
        call.send(bytes(MAX_EARLY_REPLY_BYTES * 2))
        await call.wire.end()
        with self.assertRaises((UpstreamUnavailable, UpstreamMalformed)):
            await gather_body(await asking, MAX_EARLY_REPLY_BYTES * 4)

    async def test_connection_not_used_again(self) -> None:
        """The next request gets a connection of its own."""
        await self.assert_refused_early(100, response(401, body=b"no"))
        reply = await self.asked(response(200))
        self.assertEqual(reply.status, 200)
        self.assertEqual(len(self.upstream.wires), 2)
