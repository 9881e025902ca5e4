"""Bodies on their way down, between a real client and a real upstream."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from regbroker.causes import Cause
from regbroker.protocol.origins import Origin
from regbroker.transport.bodies.download import (
    TransferBroken,
    abort_client,
    relay_body,
)
from regbroker.transport.client.pool import ConnectionPool
from regbroker.transport.client.trust import Trust
from regbroker.transport.flow.stalls import Stalls
from tests.proxycase import SiteTestCase
from tests.scripted import Call, ScriptedUpstream
from tests.wire import Flood

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SECONDS = 30.0


class DownloadTests(SiteTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.upstream = ScriptedUpstream()
        self.upstream.start()
        origin = Origin("http", "127.0.0.1", self.upstream.port)
        time: Any = self.time
        endpoint = Trust().endpoint(time, origin, 5)
        self.connections = ConnectionPool(time, origin, endpoint, 5)

    async def tear_down(self) -> None:
        self.connections.close()
        await self.upstream.stop()
        await super().tear_down()

    async def begun(
        self, length: int, asked: bytes = GET
    ) -> tuple[Call, Deferred[Any]]:
        """Begin to relay a reply of so many bytes."""
        request = await self.received(asked)
        asking = self.connections.request(b"GET", b"/", [(b"A", b"b")])
        call = await self.upstream.call()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        reply = await asking
        request.responseHeaders.setRawHeaders(b"Content-Length", [b"%d" % length])
        return call, relay_body(request, reply, Stalls(self.time), SECONDS)

    async def test_complete(self) -> None:
        """It ends with the last byte, and both connections are kept."""
        call, relayed = await self.begun(6)
        call.send(b"abc")
        self.assertEqual((await self.client.head()).status, 200)
        self.assertEqual(await self.client.read(3), b"abc")
        self.assertFalse(relayed.called)
        call.answer(b"def")
        await relayed
        self.assertEqual(await self.client.read(3), b"def")
        call, relayed = await self.begun(0)
        call.done()
        await relayed
        self.assertEqual((await self.client.reply()).body, b"")
        self.assertEqual(len(self.upstream.wires), 1)

    async def test_upstream_breaks_off(self) -> None:
        """The client sees it, and the error says whose doing it is."""
        call, relayed = await self.begun(6)
        call.send(b"abc")
        await self.client.until(b"abc")
        call.wire.close()
        error = await self.assertFailure(relayed, TransferBroken)
        self.assertEqual(error.cause, Cause.UPSTREAM_BROKE_OFF)
        self.assertEqual(await self.client.end(), b"")
        self.assertTrue(self.client.closed_in_order)

    async def test_client_leaves(self) -> None:
        """The upstream's connection is closed."""
        call, relayed = await self.begun(6)
        call.send(b"abc")
        await self.client.until(b"abc")
        self.client.reset()
        error = await self.assertFailure(relayed, TransferBroken)
        self.assertEqual(error.cause, Cause.CLIENT_LEFT)
        await call.wire.end()

    async def test_client_breaks_http(self) -> None:
        """It is told so in the reply's place, and the upstream's connection ends."""
        call, relayed = await self.begun(6, POST)
        self.client.send(b"no chunk\r\n")
        error = await self.assertFailure(relayed, TransferBroken)
        self.assertEqual(error.cause, Cause.CLIENT_LEFT)
        self.assertEqual((await self.client.reply()).status, 400)
        await call.wire.end()

    async def test_upstream_is_silent(self) -> None:
        """After so many seconds the transfer is given up, and the client sees it."""
        call, relayed = await self.begun(6)
        call.send(b"abc")
        await self.client.until(b"abc")
        self.time.clock.advance(SECONDS - 1)
        self.assertFalse(relayed.called)
        self.time.clock.pump([1, SECONDS])
        error = await self.assertFailure(relayed, TransferBroken)
        self.assertEqual(error.cause, Cause.UPSTREAM_IDLE)
        await self.client.end()
        await call.wire.end()

    async def test_client_does_not_read(self) -> None:
        """The upstream is paused, and the client is given up after the same time."""
        self.client.pause()
        call, relayed = await self.begun(1 << 30)
        flood = Flood(call.wire)
        before = -1
        while before < flood.sent:
            before = flood.sent
            for _ in range(50):
                await self.turn()
        self.assertLess(flood.sent, 1 << 28)
        self.assertFalse(relayed.called)
        self.time.clock.pump([SECONDS, SECONDS])
        error = await self.assertFailure(relayed, TransferBroken)
        self.assertEqual(error.cause, Cause.CLIENT_NOT_READING)
        flood.stop()
        self.client.resume()
        await self.client.end()
        self.assertFalse(self.client.closed_in_order)

    async def test_cancelled(self) -> None:
        """Who cancels ends the upstream's connection, and tells the client."""
        call, relayed = await self.begun(6)
        relayed.addErrback(lambda _: None).cancel()
        await call.wire.end()
        self.assertIsNone(self.client.lost)

    async def test_abort_client(self) -> None:
        """A client's connection breaks; once it is gone, nothing happens."""
        request = await self.received(GET)
        gone = request.notifyFinish()
        abort_client(request)
        await self.client.end()
        self.assertFalse(self.client.closed_in_order)
        await self.assertFailure(gone, Exception)
        abort_client(request)

    async def test_what_came_before(self) -> None:
        """A client that is broken off has what was written in the same turn."""
        request = await self.received(GET)
        request.notifyFinish().addErrback(lambda _: None)
        request.write(b"half of it")
        abort_client(request)
        sent = await self.client.end()
        self.assertTrue(sent.endswith(b"\r\na\r\nhalf of it\r\n"), sent)
        self.assertTrue(self.client.closed_in_order)
