"""One connection to an upstream: bounds, early replies, bytes that are left over."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import capturedLogs
from twisted.web.iweb import UNKNOWN_LENGTH

from regbroker.errors import (
    UpstreamMalformed,
    UpstreamUnavailable,
)
from regbroker.transport.bodies.upload import gather_body
from regbroker.transport.client.protocol import MAX_EARLY_REPLY_BYTES
from regbroker.transport.client.reply_parser import (
    MAX_HEADER_BYTES,
    MAX_HEADER_LINE_BYTES,
)
from tests.connectionscase import ConnectionsTestCase
from tests.scripted import response


class Broken:
    """Takes a body until that is broken; `error` fires then."""

    def __init__(self) -> None:
        self.error: Deferred[Exception] = Deferred()

    def body_received(self, data: bytes) -> None:
        pass

    def body_ended(self) -> None:
        raise AssertionError("it has not come whole")

    def body_broken(self, error: Exception) -> None:
        self.error.callback(error)


class BrokenBodyTests(ConnectionsTestCase):
    async def test_error_of_its_own(self) -> None:
        """What is raised somewhere keeps nothing alive of one body after the other."""
        errors = []
        for _ in range(2):
            asking = self.ask()
            call = await self.upstream.call()
            call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            broken = Broken()
            (await asking).deliver(broken)
            call.wire.close()
            errors.append(await broken.error)
        self.assertIsInstance(errors[0], ConnectionDone)
        self.assertIsNot(errors[0], errors[1])


class HeaderBoundTests(ConnectionsTestCase):
    async def test_headers_without_end(self) -> None:
        """Headers are not read without end, and neither are interim replies."""
        for first, more in (
            (b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 1000 + b"\r\n"),
            (b"", b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"),
        ):
            asking = self.ask()
            call = await self.upstream.call()
            call.send(first + more * (MAX_HEADER_BYTES * 2 // len(more)))
            error: Any = await self.assertFailure(asking, UpstreamMalformed)
            self.assertIn(f"headers of more than {MAX_HEADER_BYTES}", error.message)
            await call.wire.end()

    async def test_long_header(self) -> None:
        """One header may be as long as all of a client's."""
        value = b"/v2/x?state=" + b"s" * (MAX_HEADER_LINE_BYTES - 100)
        head = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nLocation: "
        reply = await self.asked(head + value + b"\r\n\r\n")
        self.assertEqual(reply.header(b"Location"), value)

    async def test_header_too_long(self) -> None:
        """Beyond that it is named, with the bound."""
        value = b"s" * (MAX_HEADER_LINE_BYTES + 1)
        asking = self.ask()
        call = await self.upstream.call()
        call.send(b"HTTP/1.1 202 Accepted\r\nLocation: %b\r\n\r\n" % value)
        error: Any = await self.assertFailure(asking, UpstreamMalformed)
        self.assertEqual(
            error.message,
            "the upstream registry sent the header Location with more than 65536 bytes",
        )
        await call.wire.end()

    async def test_large_headers(self) -> None:
        """Many headers are read, one request after the other."""
        many = ["A: " + "b" * 1000] * (MAX_HEADER_BYTES // 2000)
        for _ in range(4):
            asking = self.ask()
            call = await self.upstream.call()
            for line in ("HTTP/1.1 200 OK", *many, "Content-Length: 1", ""):
                call.send(line.encode() + b"\r\n")
                await self.turn()
            call.answer(b"x")
            self.assertEqual(await gather_body(await asking, 1), b"x")
        self.assertEqual(len(self.upstream.wires), 1)


class LeftOverTests(ConnectionsTestCase):
    """Bytes after a reply that are no part of it, as those of a HEAD with a body."""

    HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n"
    SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"
    CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"

    async def spilled(self, answer: bytes, rest: bytes, method: bytes) -> None:
        """Be answered, with something left over in the same bytes."""
        asking = self.ask(method)
        call = await self.upstream.call()
        call.send(answer + rest)
        await asking
        await call.wire.end()

    async def test_not_kept(self) -> None:
        """The connection ends, and the next reply is the next one's."""
        for answer, method in ((self.HEAD, b"HEAD"), (self.NOTHING, b"GET")):
            await self.spilled(answer, self.SMUGGLED, method)
            reply = await self.asked(
                b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
            )
            self.assertEqual(reply.status, 201)

    async def test_never_again(self) -> None:
        """After one of them no connection is kept that may hold another."""
        await self.asked(self.HEAD, b"HEAD")
        await self.asked(self.NOTHING)
        self.assertEqual(len(self.upstream.wires), 1)
        with capturedLogs() as events:
            await self.spilled(self.HEAD, b"x", b"HEAD")
        warned = [e for e in events if "no part" in e.get("log_format", "")]
        self.assertEqual(len(warned), 1)
        before = len(self.upstream.wires)
        for answer, method in ((self.HEAD, b"HEAD"), (self.NOTHING, b"GET")):
            await self.asked(answer, method)
        self.assertEqual(len(self.upstream.wires), before + 2)
        fine = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        for _ in range(3):
            await self.asked(fine)
        self.assertEqual(len(self.upstream.wires), before + 3)

    async def test_late(self) -> None:
        """What comes when the next request is out already is no answer to that."""
        asking = self.ask(b"HEAD")
        call = await self.upstream.call()
        call.answer(self.HEAD)
        await asking
        asking = self.ask()
        second = await self.upstream.call()
        second.send(b"the body of a HEAD, which has none...")
        third = await self.upstream.call()
        self.assertIsNot(third.wire, second.wire)
        third.answer(self.CREATED)
        self.assertEqual((await asking).status, 201)


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
