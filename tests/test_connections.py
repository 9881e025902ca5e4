"""
Connections to an upstream, and what is relied upon in Twisted below them.

The upstream is played byte by byte.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from regbroker.connections import (
    IDLE_SECONDS,
    IDLE_SECONDS_FOR_BODIES,
    MAX_EARLY_REPLY_BYTES,
    MAX_IDLE_CONNECTIONS,
    Connections,
    Reply,
)
from regbroker.errors import (
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.redirects import Origin
from regbroker.streams import gather_body
from regbroker.tls import Trust
from tests.proxycase import HeldTime, SocketTestCase
from tests.scripted import Call, ScriptedUpstream, response


@implementer(IBodyProducer)
class BodyByHand:
    """A request's body that the test writes; `started` is when it may."""

    def __init__(self, length: Any = UNKNOWN_LENGTH) -> None:
        self.length = length
        self.asked: list[str] = []
        self.started: Deferred[IConsumer] = Deferred()
        self.stopped: Deferred[None] = Deferred()
        self.paused: Deferred[None] = Deferred()
        self.done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self.started.callback(consumer)
        return self.done

    def pauseProducing(self) -> None:
        self.asked.append("pause")
        if not self.paused.called:
            self.paused.callback(None)

    def resumeProducing(self) -> None:
        self.asked.append("resume")

    def stopProducing(self) -> None:
        self.asked.append("stop")
        if not self.stopped.called:
            self.stopped.callback(None)


class ConnectionsTestCase(SocketTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.time = HeldTime()
        self.upstream = ScriptedUpstream()
        self.upstream.start()
        self.connections = self.to(self.upstream.port)

    def to(self, port: int, scheme: str = "http") -> Connections:
        """Connections to this port."""
        origin = Origin(scheme, "127.0.0.1", port)
        endpoint = Trust().endpoint(self.reactor, origin, 5)
        return Connections(self.time, origin, endpoint, 5)

    async def tear_down(self) -> None:
        self.connections.close()
        self.assertEqual(self.time.clock.getDelayedCalls(), [])
        await self.upstream.stop()

    def ask(
        self,
        method: bytes = b"GET",
        body: Any = None,
        on_continue: Any = None,
        target: bytes = b"/x",
    ) -> Deferred[Reply]:
        """Send a request."""
        headers = [(b"A", b"1"), (b"a", b"2")]
        return Deferred.fromCoroutine(
            self.connections.request(method, target, headers, body, on_continue)
        )

    async def asked(self, answer: bytes, method: bytes = b"GET") -> Reply:
        """Send a request without a body, and have it answered."""
        asking = self.ask(method)
        (await self.upstream.call()).answer(answer)
        return await asking

    async def uploading(self, length: Any = UNKNOWN_LENGTH) -> Any:
        """Begin an upload: the request, as both sides have it, and its body."""
        body = BodyByHand(length)
        asking = self.ask(b"PUT", body)
        consumer = await body.started
        return asking, await self.upstream.call(), body, consumer


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


class KeptConnectionTests(ConnectionsTestCase):
    async def used_once(self) -> Call:
        """Make a connection that waits for its next request."""
        await gather_body(await self.asked(response(200, body=b"1")), 9)
        return self.upstream.calls[-1]

    async def test_used_again(self) -> None:
        """One connection serves one request after the other."""
        for _ in range(5):
            await self.used_once()
        self.assertEqual(len(self.upstream.wires), 1)

    async def test_not_shared(self) -> None:
        """Requests at the same time have connections of their own."""
        asking = [self.ask(), self.ask()]
        for _ in asking:
            (await self.upstream.call()).reply(200)
        for one in asking:
            await one
        self.assertEqual(len(self.upstream.wires), 2)

    async def test_stale(self) -> None:
        """The upstream hangs up on a kept connection: asked anew, POST included."""
        for method in (b"GET", b"HEAD", b"POST", b"DELETE"):
            await self.used_once()
            asking = self.ask(method)
            (await self.upstream.call()).wire.reset()
            again = await self.upstream.call()
            self.assertEqual(again.method, method.decode())
            self.assertEqual(again.head.all(b"A"), [b"1", b"2"])
            again.reply(200)
            self.assertEqual((await asking).status, 200)
            self.connections.close()

    async def test_stale_once(self) -> None:
        """An upstream that always hangs up is asked twice, and no more."""
        await self.used_once()
        asking = self.ask()
        for _ in range(2):
            (await self.upstream.call()).wire.reset()
        await self.assertFailure(asking, UpstreamUnavailable)
        self.assertEqual(len(self.upstream.calls), 3)

    async def test_fresh(self) -> None:
        """A connection that was never used before is not stale: asked once."""
        asking = self.ask()
        (await self.upstream.call()).wire.close()
        await self.assertFailure(asking, UpstreamUnavailable)
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_stale_with_body(self) -> None:
        """A body cannot be sent twice: the failure is told."""
        await self.used_once()
        asking, call, _, _ = await self.uploading()
        call.wire.reset()
        await self.assertFailure(asking, UpstreamUnavailable)
        self.assertEqual(len(self.upstream.calls), 2)

    async def test_closed_while_idle(self) -> None:
        """A connection that is known to be closed is not tried."""
        call = await self.used_once()
        call.wire.close()
        await call.wire.end()
        await self.turn()
        self.assertEqual((await self.asked(response(200))).status, 200)
        self.assertEqual(len(self.upstream.calls), 2)

    async def test_not_for_bodies(self) -> None:
        """A body is not trusted to a connection that was idle for long."""
        await self.used_once()
        self.time.clock.advance(IDLE_SECONDS_FOR_BODIES + 0.1)
        asking, call, body, _ = await self.uploading()
        self.assertIsNot(call.wire, self.upstream.wires[0])
        body.done.callback(None)
        await call.body()
        call.reply(200)
        await asking

    async def test_idle_for_long(self) -> None:
        """What nobody uses is closed, before the upstream closes it."""
        call = await self.used_once()
        self.time.clock.pump([IDLE_SECONDS, IDLE_SECONDS])
        await call.wire.end()

    async def test_bounded(self) -> None:
        """After a rush not all of its connections are kept."""
        asking = [self.ask() for _ in range(MAX_IDLE_CONNECTIONS + 1)]
        for _ in asking:
            (await self.upstream.call()).reply(200)
        for one in asking:
            await gather_body(await one, 9)
        await self.upstream.wires[0].wait(lambda: any(self.ended()))
        self.assertEqual(sum(self.ended()), 1)

    def ended(self) -> list[bool]:
        """Which of the upstream's connections have ended."""
        return [wire.lost is not None for wire in self.upstream.wires]

    async def test_answer_without_question(self) -> None:
        """What comes between requests is nobody's answer: the connection ends."""
        call = await self.used_once()
        call.wire.send(response(200, "X-Poison: yes"))
        await call.wire.end()
        reply = await self.asked(response(200, "X-Good: yes"))
        self.assertIsNone(reply.header(b"X-Poison"))

    async def test_two_answers_at_once(self) -> None:
        """Nor is what comes in the same segment, after the answer."""
        asking = self.ask()
        call = await self.upstream.call()
        call.answer(response(200, body=b"1") + response(200, "X-Poison: yes"))
        await gather_body(await asking, 9)
        reply = await self.asked(response(200, "X-Good: yes"))
        self.assertIsNone(reply.header(b"X-Poison"))

    async def test_close_asked_for(self) -> None:
        """An upstream that says close gets no second request."""
        await gather_body(await self.asked(response(200, "Connection: close")), 9)
        await self.upstream.wires[0].end()

    async def test_abort_is_for_its_own_reply(self) -> None:
        """Giving up a reply that is complete disturbs nobody."""
        first = await self.asked(response(200, body=b"1"))
        await gather_body(first, 9)
        asking = self.ask()
        call = await self.upstream.call()
        first.abort()
        call.reply(200)
        self.assertEqual((await asking).status, 200)


class EndTests(ConnectionsTestCase):
    """How a reply may end, and whether that is the end of it."""

    async def body_of(self, answer: bytes, how: str) -> Any:
        """What is gathered of a reply that ends like this."""
        asking = self.ask()
        call = await self.upstream.call()
        call.send(answer)
        reply = await asking
        body = gather_body(reply, 1000)
        await self.turn()
        if how == "reset":
            call.wire.socket.setTcpNoDelay(True)
            call.wire.reset()
        else:
            call.wire.close()
        return await body

    async def test_complete(self) -> None:
        """No length, and a close in order: the end of the connection is the body's."""
        head = b"HTTP/1.1 200 OK\r\n\r\n"
        self.assertEqual(await self.body_of(head + b"abc", "close"), b"abc")

    async def test_broken_off(self) -> None:
        """Anything else breaks off."""
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for answer, how in (
            (response(200, "Content-Length: 10", body=b"abc"), "close"),
            (response(200, "Content-Length: 10", body=b"abc"), "reset"),
            (chunked + b"3\r\nabc\r\n", "close"),
            (chunked + b"5\r\nabc", "close"),
            (chunked + b"3\r\nabc\r\n0\r\n", "close"),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", "reset"),
        ):
            with self.assertRaises(UpstreamMalformed):
                await self.body_of(answer, how)


class FailureTests(ConnectionsTestCase):
    async def test_nobody_there(self) -> None:
        """A port where nobody listens."""
        port = self.upstream.port
        await self.upstream.stop()
        self.connections = self.to(port)
        error = await self.assertFailure(self.ask(), UpstreamUnavailable)
        self.assertNotIn(str(port), error.message)

    async def test_no_name(self) -> None:
        """A host that has no address."""
        origin = Origin("http", "nobody.invalid", 80)
        endpoint = Trust().endpoint(self.reactor, origin, 5)
        self.connections = Connections(self.time, origin, endpoint, 5)
        await self.assertFailure(self.ask(), UpstreamUnavailable)

    async def test_not_http(self) -> None:
        """Somebody there, but no web server."""
        for answer in (
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            b"HTTP/1.1 OK\r\n\r\n",
            response(200, "Content-Length: 3", "Content-Length: 4"),
            response(200, "Content-Length: x"),
        ):
            asking = self.ask()
            call = await self.upstream.call()
            call.answer(answer)
            call.wire.close()
            with self.assertRaises((UpstreamMalformed, UpstreamUnavailable)):
                await gather_body(await asking, 100)

    async def test_tls_where_there_is_none(self) -> None:
        """A plain port behind an https URL: no trusted connection."""
        self.upstream.serves = False
        self.connections = self.to(self.upstream.port, "https")
        asking = self.ask()
        asking.addBoth(lambda result: result)
        while not self.upstream.wires or not self.upstream.wires[0].seen:
            await self.turn()
        self.upstream.wires[0].send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await self.assertFailure(asking, UpstreamUnavailable)

    async def test_handshake_without_end(self) -> None:
        """A handshake that never ends is given up in time."""
        self.upstream.serves = False
        self.connections = self.to(self.upstream.port, "https")
        asking = self.ask()
        while not self.upstream.wires or not self.upstream.wires[0].seen:
            await self.turn()
        self.time.clock.advance(5.1)
        await self.assertFailure(asking, UpstreamTimeout)
        await self.upstream.wires[0].end()
