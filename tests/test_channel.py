"""The server's side of a connection, as a client meets it that means no good."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from regbroker.channel import (
    DRAIN_SECONDS,
    MAX_DRAIN_BYTES,
    MAX_HEADERS,
    MAX_HEADERS_BYTES,
    StreamingSite,
    reason_phrase,
)
from regbroker.replies import send_bytes
from regbroker.requestbody import ClientGone, read_body
from tests.proxycase import SiteTestCase
from tests.wire import Message

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


def answer(request: Request, body: bytes = b"so be it") -> None:
    """Finish a request."""
    send_bytes(request, 200, b"text/plain", body)


class ChannelTestCase(SiteTestCase):
    async def assert_refused(self, status: int, code: str) -> Message:
        """The next thing on the wire is this refusal, and then the end."""
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (status, code))
        self.assertEqual(reply.header(b"Connection"), b"close")
        self.assertEqual(
            reply.header(b"Docker-Distribution-Api-Version"), b"registry/2.0"
        )
        return reply

    async def assert_still_good(self) -> None:
        """The connection takes another request."""
        request = await self.received(GET, b"X-Next: yes\r\n\r\n")
        self.assertEqual(request.getHeader("X-Next"), "yes")
        answer(request, b"next")
        self.assertEqual((await self.client.reply()).body, b"next")


class BodyTests(ChannelTestCase):
    async def test_processed_with_headers(self) -> None:
        """A request is handed over before any of its body has arrived."""
        request = await self.received(POST, b"Content-Length: 5\r\n\r\n")
        self.assertEqual(request.body.length, 5)
        self.assertIsNone(request.content)
        body = read_body(request, 10)
        self.client.send(b"hello")
        self.assertEqual(await body, b"hello")

    async def test_chunked(self) -> None:
        """Chunks, extensions and trailers included, are one body."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        body = read_body(request, 100)
        self.client.send(b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-After: 1\r\n\r\n")
        self.assertEqual(await body, b"abcde")
        answer(request)
        self.assertEqual((await self.client.reply()).status, 200)
        await self.assert_still_good()

    async def test_target_is_kept(self) -> None:
        """The target stays as it was sent; nothing of it is parsed here."""
        request = await self.received(b"GET /a%2f/../b?c=%20d HTTP/1.1\r\n\r\n")
        self.assertEqual(request.uri, b"/a%2f/../b?c=%20d")
        self.assertEqual((request.path, request.args), (b"/a%2f/../b", {}))

    async def test_continue(self) -> None:
        """100 is sent when somebody reads the body, and not earlier."""
        request = await self.received(
            POST, b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        self.assertFalse(request.requestHeaders.hasHeader("Expect"))
        await self.turn()
        self.assertEqual(bytes(self.client.seen), b"")
        body = read_body(request, 10)
        self.assertEqual((await self.client.reply()).status, 100)
        self.client.send(b"ok")
        self.assertEqual(await body, b"ok")
        answer(request)
        self.assertEqual((await self.client.reply()).status, 200)
        await self.assert_still_good()

    async def test_client_goes_away(self) -> None:
        """Who reads a body is told that the rest will not come."""
        request = await self.received(POST, b"Content-Length: 5\r\n\r\nab")
        body = read_body(request, 10)
        gone = request.notifyFinish()
        self.client.close()
        await self.assertFailure(body, ClientGone)
        with self.assertRaises(Exception):  # noqa: B017
            await gone

    async def test_broken_chunk(self) -> None:
        """A body that stops being HTTP fails its reader, and the connection ends."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        body = read_body(request, 100)
        self.client.send(b"3\r\nabc\r\nnonsense\r\n")
        await self.assert_refused(400, "UNSUPPORTED")
        with self.assertRaises(Exception):  # noqa: B017
            await body

    async def test_broken_chunk_after_reply_began(self) -> None:
        """Nothing that looks like a reply is written into another one."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        request.write(b"begun")
        self.client.send(b"nonsense\r\n")
        rest = await self.client.end()
        self.assertEqual(rest.count(b"HTTP/1.1"), 1)
        self.assertFalse(self.client.closed_in_order)


class EarlyReplyTests(ChannelTestCase):
    async def test_small_body(self) -> None:
        """A reply before the body: what comes of the body is thrown away."""
        request = await self.received(POST, b"Content-Length: 10\r\n\r\n12345")
        answer(request)
        reply = await self.client.reply()
        self.assertIsNone(reply.header(b"Connection"))
        self.client.send(b"67890")
        await self.assert_still_good()

    async def test_pipelined_after_early_reply(self) -> None:
        """The rest of a body and the next request may come in one segment."""
        request = await self.received(POST, b"Content-Length: 10\r\n\r\n12345")
        answer(request)
        await self.client.reply()
        self.client.send(b"67890" + GET + b"\r\n")
        answer(await self.resource.requests.get(), b"second")
        self.assertEqual((await self.client.reply()).body, b"second")

    async def test_body_that_looks_like_a_request(self) -> None:
        """A body is never taken for a request."""
        trap = b"GET /trap HTTP/1.1\r\nHost: a\r\n\r\n"
        request = await self.received(POST, b"Content-Length: %d\r\n\r\n" % len(trap))
        answer(request)
        await self.client.reply()
        self.client.send(trap)
        await self.assert_still_good()

    async def test_large_body(self) -> None:
        """Of a large body nobody wants all: the reply says that this is the end."""
        size = MAX_DRAIN_BYTES + 10
        request = await self.received(POST, b"Content-Length: %d\r\n\r\n" % size)
        answer(request)
        reply = await self.client.reply()
        self.assertEqual(reply.header(b"Connection"), b"close")
        self.client.send(bytes(size))
        await self.client.end()

    async def test_large_body_that_stops(self) -> None:
        """A client that says nothing more is given a moment to read the reply."""
        size = MAX_DRAIN_BYTES + 10
        request = await self.received(POST, b"Content-Length: %d\r\n\r\n" % size)
        answer(request)
        self.assertEqual((await self.client.reply()).status, 200)
        self.assertIsNone(self.client.lost)
        self.time.clock.advance(DRAIN_SECONDS + 0.1)
        await self.client.end()
        self.assertTrue(self.client.closed_in_order)

    async def test_chunked_body(self) -> None:
        """How much of a chunked body is missing nobody knows."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        answer(request)
        reply = await self.client.reply()
        self.assertEqual(reply.header(b"Connection"), b"close")
        self.client.send(b"100000\r\n" + bytes(0x100000) + b"\r\n" * 2)
        await self.client.end()

    async def test_expected_body(self) -> None:
        """After a final status instead of 100 the body may come, or not."""
        request = await self.received(
            POST, b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        answer(request)
        reply = await self.client.reply()
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.header(b"Connection"), b"close")
        self.time.clock.advance(DRAIN_SECONDS + 0.1)
        self.assertEqual(await self.client.end(), b"")


class RefusalTests(ChannelTestCase):
    async def refused(self, raw: bytes) -> Message:
        """Send these bytes to a new connection, and see 400 and the end."""
        self.client = await self.connect()
        self.client.send(raw)
        reply = await self.assert_refused(400, "UNSUPPORTED")
        self.time.clock.advance(DRAIN_SECONDS + 0.1)
        self.assertEqual(await self.client.end(), b"")
        self.assertEqual(self.resource.requests.pending, [])
        return reply

    async def test_malformed(self) -> None:
        """What is no HTTP/1.1 is refused as OCI JSON, and nobody is asked."""
        for raw in (
            b"nonsense\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"G\x00T / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            GET + b"no colon\r\n\r\n",
            GET + b": no name\r\n\r\n",
            GET + b"A b: c\r\n\r\n",
            GET + b"A: \x00\r\n\r\n",
        ):
            await self.refused(raw)

    async def test_smuggling(self) -> None:
        """What two parsers may read in two ways is refused."""
        for raw in (
            POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
            POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
            POST + b"Content-Length: 3, 3\r\n\r\n",
            POST + b"Content-Length: +3\r\n\r\n",
            POST + b"Content-Length: -3\r\n\r\n",
            POST + b"Content-Length: 0x3\r\n\r\n",
            POST + b"Content-Length: \r\n\r\n",
            POST + b"Content-Length : 3\r\n\r\n",
            POST + b"Transfer-Encoding: gzip\r\n\r\n",
            POST + b"Transfer-Encoding: chunked, identity\r\n\r\n",
            POST + b"Transfer-Encoding: xchunked\r\n\r\n",
            POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
            POST + b"Transfer-Encoding : chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\n Host: a\r\n\r\n",
        ):
            await self.refused(raw)

    async def test_line_ends(self) -> None:
        """A line feed alone ends no line, wherever it stands."""
        for raw in (
            GET + b"A: b\nC: d\r\n\r\n",
            GET + b"A: b\rC: d\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        ):
            await self.refused(raw)

    async def test_folded(self) -> None:
        """A folded line is the same header still, and no other one."""
        request = await self.received(GET, b"A: b\r\n Content-Length: 3\r\n\r\n")
        self.assertEqual(request.getHeader("A"), "b Content-Length: 3")
        self.assertFalse(request.requestHeaders.hasHeader("Content-Length"))

    async def test_request_line_too_long(self) -> None:
        """A request line without end is 431."""
        self.client.send(b"GET /" + b"a" * MAX_HEADERS_BYTES)
        self.client.send(b"a" * 20000 + b" HTTP/1.1\r\n\r\n")
        await self.assert_refused(431, "UNSUPPORTED")

    async def test_headers_too_large(self) -> None:
        """One header, or all of them, can be too much."""
        for headers in (
            b"A: " + b"b" * (MAX_HEADERS_BYTES + 10) + b"\r\n",
            (b"A: " + b"b" * 10000 + b"\r\n") * 8,
        ):
            self.client = await self.connect()
            self.client.send(GET + headers + b"\r\n")
            reply = await self.assert_refused(431, "UNSUPPORTED")
            self.assertIn(str(MAX_HEADERS_BYTES), reply.message)

    async def test_too_many_headers(self) -> None:
        """So can their number."""
        self.client.send(GET + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n")
        await self.assert_refused(431, "UNSUPPORTED")

    async def test_large_headers(self) -> None:
        """An Authorization of 16 KiB is served, beside a target of 8 KiB."""
        request = await self.received(
            b"GET /?" + b"s" * 8192 + b" HTTP/1.1\r\nHost: a\r\n"
            b"Authorization: Bearer " + b"t" * 16384 + b"\r\n\r\n"
        )
        self.assertEqual(len(request.getHeader(b"Authorization")), 16384 + 7)

    async def test_more_after_refusal(self) -> None:
        """What follows what cannot be parsed is not looked at."""
        self.client.send(b"nonsense\r\n\r\n" + GET + b"\r\n" + GET + b"\r\n")
        await self.assert_refused(400, "UNSUPPORTED")
        self.client.send(GET + b"\r\n")
        await self.turn()
        self.time.clock.advance(DRAIN_SECONDS + 0.1)
        self.assertEqual(await self.client.end(), b"")
        self.assertEqual(self.resource.requests.pending, [])

    async def test_flood_after_refusal(self) -> None:
        """Nor is it read without end."""
        self.client.send(b"nonsense\r\n\r\n")
        await self.assert_refused(400, "UNSUPPORTED")
        self.client.send(bytes(2 * MAX_DRAIN_BYTES))
        await self.client.end()

    async def test_tls_on_a_plain_port(self) -> None:
        """Who speaks TLS is hung up on at once, and not left waiting."""
        self.client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
        self.assertEqual(await self.client.end(), b"")


class ConnectionTests(ChannelTestCase):
    async def test_pipelined(self) -> None:
        """Requests that come at once are answered one after the other."""
        one, two = GET + b"X: 1\r\n\r\n", POST + b"X: 2\r\nContent-Length: 1\r\n\r\n2"
        first = await self.received(one, two, GET, b"X: 3\r\n\r\n")
        self.assertEqual(self.resource.requests.pending, [])
        answer(first, b"1")
        second = await self.resource.requests.get()
        self.assertEqual(await read_body(second, 9), b"2")
        answer(second, b"2")
        answer(await self.resource.requests.get(), b"3")
        bodies = [(await self.client.reply()).body for _ in range(3)]
        self.assertEqual(bodies, [b"1", b"2", b"3"])

    async def test_http_1_0(self) -> None:
        """An old client gets its reply and the end."""
        answer(await self.received(b"GET / HTTP/1.0\r\n\r\n"))
        self.assertEqual((await self.client.reply()).body, b"so be it")
        await self.client.end()
        self.assertTrue(self.client.closed_in_order)

    async def test_connection_close(self) -> None:
        """A client that wants no more connection has none."""
        answer(await self.received(GET, b"Connection: close\r\n\r\n"))
        await self.client.reply()
        await self.client.end()
        self.assertTrue(self.client.closed_in_order)

    async def test_idle(self) -> None:
        """A connection on which nothing happens is closed, in a while."""
        answer(await self.received(GET, b"\r\n"))
        await self.client.reply()
        await self.turn()
        self.time.clock.advance(59)
        await self.turn()
        self.assertIsNone(self.client.lost)
        self.time.clock.pump([1, 1, 15, 15])
        await self.client.end()

    async def test_slow_headers(self) -> None:
        """So is one whose headers never end."""
        self.client.send(GET)
        await self.turn()
        self.time.clock.pump([59, 2, 16])
        await self.client.end()

    async def test_not_idle(self) -> None:
        """Who waits for an answer is not idle, however long it takes."""
        request = await self.received(GET, b"\r\n")
        self.time.clock.pump([60] * 20)
        await self.turn()
        answer(request)
        self.assertEqual((await self.client.reply()).status, 200)

    async def test_paused_body(self) -> None:
        """A client that we do not read from is not to blame for its silence."""
        request = await self.received(POST, b"Content-Length: 300000\r\n\r\n")
        self.client.send(bytes(200000))
        paused: Deferred[None] = Deferred()
        real = request.channel.pause_reading

        def pause() -> None:
            real()
            if not paused.called:
                paused.callback(None)

        request.channel.pause_reading = pause
        await paused
        self.time.clock.pump([60] * 3)
        body = read_body(request, 300000)
        self.client.send(bytes(100000))
        self.assertEqual(len(await body), 300000)

    def test_protocols(self) -> None:
        """HTTP/1.1 alone is offered, whatever is installed."""
        site: Any = StreamingSite(self.resource)
        self.assertEqual(site.acceptableProtocols(), [b"http/1.1"])

    def test_reason_phrases(self) -> None:
        """Standard statuses have their phrase, others none."""
        self.assertEqual(reason_phrase(421), b"Misdirected Request")
        self.assertEqual(reason_phrase(799), b"")
