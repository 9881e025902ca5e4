"""Requests over connections that are kept, and how many there are."""

from __future__ import annotations

from itertools import count
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.web.iweb import UNKNOWN_LENGTH

from regbroker.errors import (
    UpstreamUnavailable,
)
from regbroker.transport.bodies.upload import gather_body
from regbroker.transport.client.bytes_body import BytesBody
from regbroker.transport.client.pool import MAX_AGE_SECONDS, MAX_IDLE_CONNECTIONS
from regbroker.transport.client.sent_request import (
    IDLE_SECONDS,
    IDLE_SECONDS_FOR_BODIES,
)
from regbroker.transport.client.slots import Slots
from tests.connectionscase import BodyByHand, ConnectionsTestCase
from tests.scripted import Call, response


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
        await self.two_at_once()
        self.assertEqual(len(self.upstream.wires), 2)

    async def two_at_once(self) -> None:
        """Have two requests answered that are there at the same time."""
        asking = [self.ask(), self.ask()]
        for call in [await self.upstream.call() for _ in asking]:
            call.reply(200)
        for one in asking:
            await one

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

    async def test_stale_with_bytes(self) -> None:
        """A body that is in memory is sent once more, and may wait as long as none."""
        await self.used_once()
        self.time.clock.advance(IDLE_SECONDS_FOR_BODIES + 0.1)
        asking = self.ask(b"POST", BytesBody(b"a=b"))
        stale = await self.upstream.call()
        self.assertIs(stale.wire, self.upstream.wires[0])
        stale.wire.reset()
        again = await self.upstream.call()
        self.assertEqual(await again.body(), b"a=b")
        again.reply(200)
        self.assertEqual((await asking).status, 200)

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
        for call in [await self.upstream.call() for _ in asking]:
            call.reply(200)
        for one in asking:
            await gather_body(await one, 9)
        while not any(self.ended()):
            await self.turn()
        self.assertEqual(sum(self.ended()), 1)

    def ended(self) -> list[bool]:
        """Which of the upstream's connections have ended."""
        return [wire.lost is not None for wire in self.upstream.wires]

    async def test_rush(self) -> None:
        """Many requests share the connections that are open first."""
        self.upstream.handler = lambda call: response(200, body=b"1")
        self.open_only(3)
        asking = [self.ask() for _ in range(20)]
        for one in asking:
            self.assertEqual(await gather_body(await one, 9), b"1")
        # The last one may be accepted when all are answered.
        while len(self.upstream.wires) < 3:
            await self.turn()
        self.assertEqual(len(self.upstream.wires), 3)

    def open_only(self, most: int) -> None:
        """Let so many connections be opened; more take for ever."""
        numbers = count()
        endpoint: Any = self.connections._endpoint
        connect = endpoint.connect

        def connect_some(factory: Any) -> Deferred[Any]:
            return connect(factory) if next(numbers) < most else Deferred()

        self.patch(endpoint, "connect", connect_some)

    async def test_handed_on(self) -> None:
        """A request whose connection is not open yet takes one that is free before."""
        self.open_only(1)
        first = self.ask()
        call = await self.upstream.call()
        second = self.ask()
        call.answer(response(200, body=b"1"))
        await gather_body(await first, 9)
        call = await self.upstream.call()
        call.answer(response(200, body=b"2"))
        self.assertEqual(await gather_body(await second, 9), b"2")
        self.assertIs(call.wire, self.upstream.wires[0])

    async def test_closed_while_it_opens(self) -> None:
        """A connection that nobody waits for is not opened to its end."""
        await self.test_handed_on()
        self.assertEqual(len(self.connections._queue._opening), 1)
        self.connections.close()
        self.assertEqual(self.connections._queue._opening, [])

    async def prepared(self, count: int) -> None:
        """Open connections ahead; they are ready then."""
        self.connections.prepare(count)
        while len(self.connections._idle) < count:
            await self.turn()

    async def test_prepared(self) -> None:
        """Connections that are opened ahead are there for requests; no more are."""
        await self.prepared(2)
        self.connections.prepare(2)
        await self.two_at_once()
        self.assertEqual(len(self.upstream.wires), 2)

    async def test_prepared_beside_others(self) -> None:
        """Those in use count; one that has ended counts no more."""
        asking = self.ask()
        call = await self.upstream.call()
        self.connections.prepare(1)
        self.assertEqual(self.connections._queue._opening, [])
        call.answer(response(200, "Connection: close"))
        await gather_body(await asking, 9)
        await call.wire.end()
        await self.prepared(1)
        self.assertEqual(len(self.upstream.wires), 2)

    async def test_prepared_and_stale(self) -> None:
        """The upstream has hung up on what was opened ahead: it is as any kept one."""
        await self.prepared(1)
        asking = self.ask()
        (await self.upstream.call()).wire.reset()
        (await self.upstream.call()).reply(200)
        self.assertEqual((await asking).status, 200)

    async def test_leaving_while_connecting(self) -> None:
        """A client that leaves takes its own request along, and no other one."""
        staying, leaving = self.ask(), self.ask()
        leaving.cancel()
        await self.assertFailure(leaving, CancelledError)
        (await self.upstream.call()).reply(200)
        self.assertEqual((await staying).status, 200)

    async def test_prepared_too_late(self) -> None:
        """What is being opened ahead ends with the pool."""
        self.open_only(0)
        self.connections.prepare(2)
        self.assertEqual(len(self.connections._queue._opening), 2)
        self.connections.close()
        self.assertEqual(self.connections._queue._opening, [])

    async def test_place_of_the_next(self) -> None:
        """The request that a connection goes on with has a place of its own."""
        self.connections.slots = Slots(2, 1, "the oracle")
        self.open_only(1)
        first = self.ask()
        call = await self.upstream.call()
        second = self.ask()
        call.answer(response(200, body=b"1"))
        await gather_body(await first, 9)
        call = await self.upstream.call()
        self.assertEqual(self.connections.slots._free, 1)
        call.answer(response(200, body=b"2"))
        await gather_body(await second, 9)
        self.assertEqual(self.connections.slots._free, 2)

    async def test_too_old_to_hand_on(self) -> None:
        """A connection in constant use ends nevertheless, for the name's sake."""
        first = self.ask()
        call = await self.upstream.call()
        second = self.ask()
        self.time.clock.advance(MAX_AGE_SECONDS + 1)
        call.answer(response(200, body=b"1"))
        await gather_body(await first, 9)
        call = await self.upstream.call()
        self.assertIs(call.wire, self.upstream.wires[1])
        call.answer(response(200, body=b"2"))
        await gather_body(await second, 9)

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


class BoundTests(ConnectionsTestCase):
    NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"

    async def test_many_at_once(self) -> None:
        """So many requests are under way; others wait, and some are refused."""
        self.connections.slots = Slots(2, 1, "the oracle")
        asking = {f"/{n}": self.ask(target=b"/%d" % n) for n in range(3)}
        error: Any = await self.assertFailure(self.ask(), UpstreamUnavailable)
        self.assertEqual(error.header(b"Retry-After"), "1")
        first, second = [await self.upstream.call() for _ in range(2)]
        await self.turn()
        self.assertEqual(len(self.upstream.calls), 2)
        # A reply whose body is on its way holds its place.
        first.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
        reply = await asking.pop(first.target)
        await self.turn()
        self.assertEqual(len(self.upstream.calls), 2)
        first.answer(b"x")
        await gather_body(reply, 9)
        third = await self.upstream.call()
        # And so does one that was given up, until it is gone.
        left = asking.pop(second.target)
        left.addErrback(lambda _: None)
        left.cancel()
        await second.wire.end()
        asking["/x"] = self.ask()
        for call in (third, await self.upstream.call()):
            call.answer(self.NOTHING)
            self.assertEqual((await asking[call.target]).status, 204)
        self.assertEqual(self.connections.slots._free, 2)

    async def test_shared_places(self) -> None:
        """Pools that are given the same places are bounded together."""
        slots = Slots(1, 1, "the oracle")
        first, second = [self.to(self.upstream.port, slots=slots) for _ in range(2)]
        asking = [pool.request(b"GET", b"/", []) for pool in (first, second)]
        call = await self.upstream.call()
        self.assertEqual(slots._free, 0)
        call.answer(self.NOTHING)
        (await self.upstream.call()).answer(self.NOTHING)
        for one in asking:
            self.assertEqual((await one).status, 204)
        for pool in (first, second):
            pool.close()
        self.assertEqual(slots._free, 1)

    async def test_failures(self) -> None:
        """Nothing that fails keeps its place."""
        self.connections.slots = Slots(1, 1, "the oracle")
        for _ in range(3):
            asking = self.ask()
            (await self.upstream.call()).wire.reset()
            await self.assertFailure(asking, UpstreamUnavailable)
        await self.asked(self.NOTHING)
        # One that was kept and is gone by now is asked for again.
        asking = self.ask()
        (await self.upstream.call()).wire.reset()
        (await self.upstream.call()).answer(self.NOTHING)
        await asking
        self.assertEqual(self.connections.slots._free, 1)


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
        await self.assert_cancelled(self.ask())

    async def test_continue(self) -> None:
        """100 is told at once; the final reply is another one."""
        body = BodyByHand(2)
        asking = self.ask(b"PUT", body)
        call = await self.upstream.call()
        call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not body.asked:
            await self.turn()
        self.assertEqual(body.asked, ["continue"])
        consumer = await body.started
        consumer.write(b"ab")
        body.done.callback(None)
        self.assertEqual(await call.body(), b"ab")
        call.reply(201)
        self.assertEqual((await asking).status, 201)

    async def test_other_interim_replies(self) -> None:
        """102 and 103 are no replies, and no 100 either."""
        asking, call, body, consumer = await self.uploading(2)
        call.send(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
        consumer.write(b"ab")
        body.done.callback(None)
        await call.body()
        call.reply(200)
        self.assertEqual((await asking).status, 200)
        self.assertEqual(body.asked, [])
