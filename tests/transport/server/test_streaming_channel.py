"""Replies before bodies, time, and many requests on one connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from regbroker.transport.server.body_reading import read_body
from regbroker.transport.server.request_bodies import ClientGone
from regbroker.transport.server.site import StreamingSite
from regbroker.transport.server.streaming_channel import (
    DRAIN_SECONDS,
    FIRST_REQUEST_SECONDS,
    HEADER_SECONDS,
    IDLE_LINGER_SECONDS,
    MAX_DRAIN_BYTES,
    NEXT_REQUEST_SECONDS,
)
from tests.channelcase import GET, POST, ChannelTestCase, answer
from tests.proxycase import SiteTestCase


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

    async def test_next_request_after_the_most(self) -> None:
        """What comes with the end of a body is not counted to it."""
        size = MAX_DRAIN_BYTES
        request = await self.received(POST, b"Content-Length: %d\r\n\r\n" % size)
        answer(request)
        self.assertIsNone((await self.client.reply()).header(b"Connection"))
        body = bytes(10_000)
        self.client.send(
            bytes(size) + POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
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


class WindingDownTests(ChannelTestCase):
    """A connection that is to end with its next reply."""

    def wind_down(self, is_stopping: bool = False) -> None:
        """Tell the channel of the client's connection."""
        (transport,) = [r for r in self.reactor.getReaders() if isinstance(r, Server)]
        channel: Any = transport.protocol
        channel.wind_down(is_stopping)

    async def assert_last(self) -> None:
        """The next reply says that it is the last one, and it is."""
        reply = await self.client.reply()
        self.assertEqual(reply.body, b"so be it")
        self.assertEqual(reply.header(b"Connection"), b"close")
        await self.client.end()
        self.assertTrue(self.client.closed_in_order)

    async def test_idle(self) -> None:
        """A client that asks once more is answered."""
        answer(await self.received(GET, b"\r\n"))
        self.assertIsNone((await self.client.reply()).header(b"Connection"))
        self.wind_down()
        answer(await self.received(GET, b"\r\n"))
        await self.assert_last()

    async def test_answering(self) -> None:
        """A reply that has not begun says that it is the last."""
        request = await self.received(GET, b"\r\n")
        self.wind_down()
        answer(request)
        await self.assert_last()

    async def test_in_the_headers(self) -> None:
        """So does that to a request whose headers are on their way."""
        self.client.send(GET)
        while self.served == 0:
            await self.turn()
        self.wind_down()
        answer(await self.received(b"\r\n"))
        await self.assert_last()

    async def finish_begun(self, is_stopping: bool) -> None:
        """A reply that began before ends whole, and said nothing of the end."""
        request = await self.received(GET, b"\r\n")
        request.setHeader("Content-Length", "10")
        request.write(b"begun")
        self.wind_down(is_stopping)
        request.write(b"ended")
        request.finish()
        reply = await self.client.reply()
        self.assertEqual(reply.body, b"begunended")
        self.assertIsNone(reply.header(b"Connection"))

    async def test_in_the_reply(self) -> None:
        """After a reply that could not say it, the client is answered once more."""
        for is_stopping in (False, True):
            await self.finish_begun(is_stopping)
            answer(await self.received(GET, b"\r\n"))
            await self.assert_last()
            self.client = await self.connect()

    async def assert_ended_after(self, seconds: float) -> None:
        """The client has so many seconds to ask for something."""
        self.time.clock.advance(seconds - 0.1)
        await self.turn()
        self.assertIsNone(self.client.lost)
        self.time.clock.advance(0.1)
        self.assertEqual(await self.client.end(), b"")
        self.assertTrue(self.client.closed_in_order)

    async def test_stops_after_the_reply(self) -> None:
        """A client that was told nothing of the end has a moment to ask again."""
        await self.finish_begun(is_stopping=True)
        await self.assert_ended_after(NEXT_REQUEST_SECONDS)

    async def test_stops_when_idle(self) -> None:
        """So has one that asks for nothing just then."""
        answer(await self.received(GET, b"\r\n"))
        await self.client.reply()
        with capturedLogs() as events:
            self.wind_down(is_stopping=True)
            await self.assert_ended_after(NEXT_REQUEST_SECONDS)
        # Of thousands of such clients the log says nothing.
        self.assertEqual([formatEvent(event) for event in events], [])

    async def test_stops_before_a_request(self) -> None:
        """A client that is just connected has more time: it has more to do before."""
        while self.served == 0:
            await self.turn()
        self.wind_down(is_stopping=True)
        await self.assert_ended_after(FIRST_REQUEST_SECONDS)

    async def test_stops_and_is_not_waited_for(self) -> None:
        """A client that does not notice the end keeps nobody waiting."""
        answer(await self.received(GET, b"\r\n"))
        await self.client.reply()
        self.client.pause()
        self.wind_down(is_stopping=True)
        self.time.clock.advance(NEXT_REQUEST_SECONDS)
        await self.turn()
        self.assertEqual(self.served, 1)
        self.time.clock.advance(IDLE_LINGER_SECONDS)
        await self.all_closed()


class AtOnce(Resource):
    """Answers every request as soon as it is there, and counts them."""

    isLeaf = True
    streams = True

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

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))


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
