"""The server's side of a connection, as a client meets it that means no good."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from regbroker.transport.certificates import certificate_options
from regbroker.transport.lingering import (
    CLOSE_SECONDS,
    LINGER_SECONDS,
    MAX_LINGER_BYTES,
)
from regbroker.transport.replies import send_bytes
from regbroker.transport.request_bodies import ClientGone, read_body
from regbroker.transport.server import StreamingSite
from regbroker.transport.streaming_channel import (
    DRAIN_SECONDS,
    HEADER_SECONDS,
    MAX_DRAIN_BYTES,
)
from regbroker.transport.strict_channel import (
    MAX_HEADERS,
    MAX_HEADERS_BYTES,
    MAX_LENGTH_DIGITS,
    reason_phrase,
)
from tests.certificates import Looking, issued
from tests.proxycase import SiteTestCase
from tests.wire import Message, RawClient

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

    @property
    def served(self) -> int:
        """How many connections the site has open."""
        return sum(isinstance(r, Server) for r in self.reactor.getReaders())

    @property
    def writing(self) -> int:
        """How many connections the site has not yet written everything to."""
        return sum(isinstance(w, Server) for w in self.reactor.getWriters())

    async def all_closed(self) -> None:
        """Wait until the site has no connection open."""
        while self.served:
            await self.turn()


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

    async def test_target_is_a_url(self) -> None:
        """Of a whole URL the host counts, and not the Host header."""
        for target, host, uri in (
            (b"http://b.test/v2/a%2f/../b?c=%20d", b"b.test", b"/v2/a%2f/../b?c=%20d"),
            (b"HTTPS://b.test:5000/", b"b.test:5000", b"/"),
            (b"http://b.test", b"b.test", b"/"),
            (b"http://b.test?x=/y", b"b.test", b"?x=/y"),
        ):
            request = await self.received(b"GET " + target + GET[5:] + b"\r\n")
            self.assertEqual(request.requestHeaders.getRawHeaders(b"Host"), [host])
            self.assertEqual(request.uri, uri)
            answer(request)
            self.assertEqual((await self.client.reply()).status, 200)

    async def test_target_is_everything(self) -> None:
        """``*`` is a target like any other, and answered as one."""
        for method in (b"OPTIONS", b"GET"):
            request = await self.received(method + b" *" + GET[5:] + b"\r\n")
            self.assertEqual(request.path, b"/*")
            answer(request)
            self.assertEqual((await self.client.reply()).body, b"so be it")

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
        """The end comes with the reply, whether or not the rest of the body does."""
        size = MAX_DRAIN_BYTES + 10
        request = await self.received(POST, b"Content-Length: %d\r\n\r\n" % size)
        answer(request)
        self.assertEqual((await self.client.reply()).status, 200)
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
        self.assertEqual(await self.client.end(), b"")

    async def test_small_body_that_stops(self) -> None:
        """The rest of a small body is waited for, for a while."""
        request = await self.received(POST, b"Content-Length: 10\r\n\r\n12345")
        answer(request)
        self.assertIsNone((await self.client.reply()).header(b"Connection"))
        self.time.clock.advance(DRAIN_SECONDS - 0.1)
        await self.turn()
        self.assertIsNone(self.client.lost)
        self.time.clock.advance(0.2)
        await self.client.end()
        self.assertTrue(self.client.closed_in_order)


class RefusalTests(ChannelTestCase):
    async def refused(self, raw: bytes) -> Message:
        """Send these bytes to a new connection, and see 400 and the end."""
        self.client = await self.connect()
        self.client.send(raw)
        reply = await self.assert_refused(400, "UNSUPPORTED")
        self.assertEqual(await self.client.end(), b"")
        self.assertTrue(self.client.closed_in_order)
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
            POST + b"Content-Length: " + b"9" * (MAX_LENGTH_DIGITS + 1) + b"\r\n\r\n",
            POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
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
        """A folded line is no header: some see another one in it."""
        for raw in (
            GET + b"A: b\r\n Content-Length: 3\r\n\r\n",
            GET + b"A: b\r\n\tc\r\n\r\n",
            GET + b"A: b\r\n \r\n\r\n",
            GET + b"A:\r\n b\r\n\r\n",
        ):
            self.assertIn("folded", (await self.refused(raw)).message)

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
        self.assertEqual(await self.client.end(), b"")
        self.assertEqual(self.resource.requests.pending, [])

    async def test_flood_after_refusal(self) -> None:
        """Nor is it read without end."""
        self.client.send(b"nonsense\r\n\r\n")
        await self.assert_refused(400, "UNSUPPORTED")
        self.client.send(bytes(2 * MAX_LINGER_BYTES))
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
        """A client that wants no more connection has none, however it says so."""
        for headers in (
            b"Connection: close\r\n",
            b"Connection: close, TE\r\n",
            b"Connection: TE ,Close\r\n",
            b"Connection: TE\r\nConnection: close\r\n",
            b"Connection: close\r\nConnection: TE\r\n",
        ):
            self.client = await self.connect()
            answer(await self.received(GET, headers, b"\r\n"))
            reply = await self.client.reply()
            self.assertEqual(reply.header(b"Connection"), b"close")
            await self.client.end()
            self.assertTrue(self.client.closed_in_order)

    async def test_connection_options(self) -> None:
        """Other options do not end a connection."""
        answer(await self.received(GET, b"Connection: TE, closed\r\n\r\n"))
        self.assertIsNone((await self.client.reply()).header(b"Connection"))
        await self.assert_still_good()

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

    async def test_dripping_headers(self) -> None:
        """So is one whose headers come byte by byte."""
        for first in (b"G", GET):
            self.client = await self.connect()
            self.client.socket.setTcpNoDelay(True)
            self.client.send(first)
            began = self.time.clock.seconds()
            while self.client.lost is None:
                self.client.send(b"A")
                for _ in range(5):
                    await self.turn()
                self.time.clock.advance(10)
                self.assertLess(self.time.clock.seconds() - began, HEADER_SECONDS + 40)
            self.assertGreater(self.time.clock.seconds() - began, HEADER_SECONDS)
            self.assertEqual(bytes(self.client.seen), b"")
        self.assertEqual(self.resource.requests.pending, [])

    async def test_each_has_its_time(self) -> None:
        """A request's headers have their time, whatever the one before took."""
        for _ in range(3):
            self.client.send(GET)
            await self.turn()
            self.time.clock.advance(50)
            answer(await self.received(b"\r\n"))
            self.assertEqual((await self.client.reply()).status, 200)
        request = await self.received(GET, b"\r\n", GET)
        self.time.clock.pump([30] * 10)
        self.client.send(b"X: 2\r\n")
        await self.turn()
        answer(request)
        self.assertEqual((await self.client.reply()).status, 200)
        await self.turn()
        answer(await self.received(b"\r\n"))
        self.assertEqual((await self.client.reply()).status, 200)

    async def test_leaves_early(self) -> None:
        """A client may leave at any point of its headers; nobody complains."""
        for part in (b"", b"GET /", GET, GET + b"X: ", POST + b"Content-Length: 1\r\n"):
            client = await self.connect()
            client.send(part)
            await self.turn()
            client.close()
            await client.end()
        self.client.close()
        await self.all_closed()
        self.assertEqual(self.resource.requests.pending, [])

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


class AtOnce(Resource):
    """Answers every request as soon as it is there, and counts them."""

    isLeaf = True

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body
        self.asked = 0

    def render(self, request: Any) -> int:
        self.asked += 1
        answer(request, self.body)
        return NOT_DONE_YET


class Full(StringTransport):
    """A transport whose buffer is full with whatever is written."""

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.producer is not None:
            self.producer.pauseProducing()


class PipelineTests(SiteTestCase):
    """Requests that are answered here, from a client that sends many of them."""

    def make_site(self) -> Site:
        self.at_once = AtOnce(bytes(128 * 1024))
        return StreamingSite(self.at_once, reactor=self.time)

    def test_stops_reading(self) -> None:
        """While replies cannot be written, no more requests are read."""
        transport: Any = Full()
        site = StreamingSite(self.at_once, reactor=self.time)
        channel: Any = site.buildProtocol(None)
        channel.makeConnection(transport)
        for asked in (1, 2):
            self.assertEqual(transport.producerState, "producing")
            channel.dataReceived(GET + b"\r\n")
            self.assertEqual(self.at_once.asked, asked)
            self.assertEqual(transport.producerState, "paused")
            channel.resumeProducing()
        self.assertEqual(transport.value().count(b"HTTP/1.1 200"), 2)
        channel.connectionLost(ClientGone("the test is over"))

    async def test_reads_late(self) -> None:
        """A client that does not read is not read from; late, it gets everything."""
        count = 250
        self.client.pause()
        self.client.send((GET + b"X: " + b"x" * 16384 + b"\r\n\r\n") * count)
        before = -1
        while before < self.at_once.asked:
            before = self.at_once.asked
            for _ in range(50):
                await self.turn()
        self.assertLess(before, count - 50)
        self.client.resume()
        for _ in range(count):
            reply = await self.client.reply()
            self.assertEqual(len(reply.body), len(self.at_once.body))
        self.assertEqual(self.at_once.asked, count)


class CloseTests(ChannelTestCase):
    """Clients behind TLS that never answer a close_notify."""

    async def set_up(self) -> None:
        await super().set_up()
        pair = issued("a.test")
        factory = TLSMemoryBIOFactory(
            certificate_options(pair.certificate, pair.key),
            False,
            StreamingSite(self.resource, reactor=self.time),
        )
        factory.noisy = False
        self.secure = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.client.close()
        await self.all_closed()
        self.timers = self.time.clock.getDelayedCalls()
        self.client = await self.connect()

    async def tear_down(self) -> None:
        await super().tear_down()
        await self.secure.stopListening()

    async def connect(self) -> RawClient:
        if not hasattr(self, "secure"):
            return await super().connect()
        return await self.connect_to(self.secure.getHost().port, Looking())

    async def assert_cut(self) -> None:
        """The site waits for the client's close_notify, but not for ever."""
        for _ in range(10):
            await self.turn()
        self.time.clock.advance(LINGER_SECONDS - 1)
        await self.turn()
        self.assertEqual(self.served, 1)
        self.time.clock.advance(2)
        await self.all_closed()
        self.assertEqual(self.time.clock.getDelayedCalls(), self.timers)
        self.client.resume()
        await self.client.end()

    async def test_connection_close(self) -> None:
        """After the last reply."""
        request = await self.received(GET, b"Connection: close\r\n\r\n")
        self.client.pause()
        answer(request)
        await self.assert_cut()

    async def test_refused(self) -> None:
        """After what was no request."""
        answer(await self.received(GET, b"\r\n"))
        await self.client.reply()
        self.client.pause()
        self.client.send(b"nonsense\r\n\r\n")
        await self.assert_cut()

    async def test_unwanted_body(self) -> None:
        """After a reply that came before its request's body."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        self.client.pause()
        answer(request)
        await self.assert_cut()

    async def test_reads_late(self) -> None:
        """A reply that is not taken yet is waited for longer, but not for ever."""
        request = await self.received(GET, b"Connection: close\r\n\r\n")
        self.client.pause()
        answer(request, bytes(16 * 1024 * 1024))
        for seconds in (LINGER_SECONDS + 1, CLOSE_SECONDS - 2):
            for _ in range(10):
                await self.turn()
            self.time.clock.advance(seconds)
        await self.turn()
        self.assertEqual(self.writing, 1)
        self.time.clock.advance(2)
        while self.writing:
            await self.turn()
        self.assertEqual(self.time.clock.getDelayedCalls(), self.timers)

    async def test_in_order(self) -> None:
        """Who plays by the rules is not cut, and no timer is left behind."""
        answer(await self.received(GET, b"Connection: close\r\n\r\n"))
        await self.client.reply()
        await self.client.end()
        await self.all_closed()
        self.assertTrue(self.client.closed_in_order)
        self.assertEqual(self.time.clock.getDelayedCalls(), self.timers)
