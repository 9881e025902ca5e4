"""
An upstream that refuses an upload, and resets its connection while regbroker writes.

The answer is here then, and what is written fails: with ECONNRESET or EPIPE. Which of
both regbroker meets first depends on what the reactor finds in one round, so these
tests lay it out: between two rounds, or in the middle of one.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet import reactor
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.causes import Cause
from tests.proxycase import BLOB, UPLOAD, TLSUpstream
from tests.scenarios.test_endings import EndingTestCase
from tests.scripted import Call, response
from tests.wire import Wire

#: Framings of a body without end, each with what stands before its bytes.
FRAMINGS = (
    ("Content-Length: 1000000000", b""),
    ("Transfer-Encoding: chunked", b"3B9ACA00\r\n"),
)
REFUSAL = response(413, "Connection: close", body=b"<h1>no</h1>")
ROUNDS = 20
#: Rounds that fill the kernel's buffers first.
FULL_ROUNDS = 4


def socket_of(wire: Wire) -> Any:
    """The socket below, with TLS or without."""
    transport = wire.socket
    return getattr(transport, "transport", transport).getHandle()


def send_now(wire: Wire, data: bytes) -> None:
    """Give bytes to the kernel before the reactor goes round once more."""
    transport = wire.socket
    if hasattr(transport, "transport"):
        transport.getHandle().sendall(data)
        data = transport.getHandle().bio_read(2 * len(data) + 1000)
    socket_of(wire).sendall(data)


def reset_now(wire: Wire) -> None:
    """Do at once what `abortConnection` does in the next round."""
    transport = wire.socket
    below = getattr(transport, "transport", transport)
    below.connectionLost(Failure(ConnectionAborted()))


def drain_now(wire: Wire) -> None:
    """Take all that the kernel holds, so that the other side can write again."""
    with contextlib.suppress(BlockingIOError):
        while socket_of(wire).recv(2**20):
            pass


@implementer(IReadDescriptor)
class Interlude:
    """What the reactor does first in its next round, once `begin` is called."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._near, self._far = socket.socketpair()
        reader: Any = reactor
        reader.addReader(self)

    def begin(self) -> None:
        """Be ready from now on: before all that is not ready yet."""
        self._far.send(b"x")

    def fileno(self) -> int:
        return self._near.fileno()

    def doRead(self) -> None:
        self.connectionLost()
        self._act()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        reader: Any = reactor
        reader.removeReader(self)
        self._near.close()
        self._far.close()

    def logPrefix(self) -> str:
        return "interlude"


class EarlyAnswerCase(EndingTestCase):
    async def begun(self, framing: str, prefix: bytes) -> Call:
        """An upload on a connection of its own, in the middle of its way."""
        self.client = await self.connect()
        call = await self.relayed("PATCH", UPLOAD, framing)
        self.client.send(prefix + b"x")
        await call.wire.until(b"x")
        await self.quiet()
        return call

    async def quiet(self) -> None:
        """Wait until the kernel has forgotten who was ready: it tells in that order."""
        for _ in range(3):
            await self.turn()

    def rounds(self, number: int) -> Iterator[tuple[str, bytes]]:
        """Each framing so many times."""
        for _ in range(number):
            yield from FRAMINGS

    async def assert_refused(self) -> None:
        """The client gets the upstream's word."""
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (413, "SIZE_INVALID"))
        self.assertEqual(reply.header(b"Connection"), b"close")


class EarlyAnswerTests(EarlyAnswerCase):
    async def test_between_two_writes(self) -> None:
        """It is there before regbroker writes the next part, which fails."""
        for framing, prefix in self.rounds(ROUNDS):
            call = await self.begun(framing, prefix)
            # regbroker reads of the client first, and then of the upstream.
            send_now(self.client, bytes(65536))
            send_now(call.wire, REFUSAL)
            reset_now(call.wire)
            await self.assert_refused()

    async def test_while_bytes_wait(self) -> None:
        """It is there while the upstream takes nothing, and all buffers are full."""
        for framing, prefix in self.rounds(FULL_ROUNDS):
            call = await self.begun(framing, prefix)
            call.wire.pause()
            flood = await self.flooded(self.client)
            send_now(call.wire, REFUSAL)
            reset_now(call.wire)
            await self.assert_refused()
            flood.stop()

    async def test_in_the_middle_of_a_round(self) -> None:
        """It comes when the reactor is about to write, and knows of nothing to read."""
        for framing, prefix in self.rounds(FULL_ROUNDS):
            call = await self.begun(framing, prefix)
            call.wire.pause()
            flood = await self.flooded(self.client)

            def refuse(call: Call = call) -> None:
                send_now(call.wire, REFUSAL)
                reset_now(call.wire)

            interlude = Interlude(refuse)
            await self.quiet()
            interlude.begin()
            drain_now(call.wire)
            await self.assert_refused()
            flood.stop()

    async def test_client_goes_first(self) -> None:
        """A client that has its answer and resets while it sends is done."""
        for framing, prefix in self.rounds(ROUNDS):
            call = await self.begun(framing, prefix)
            told = self.event()
            send_now(call.wire, REFUSAL)
            await self.assert_refused()
            send_now(self.client, bytes(65536))
            reset_now(self.client)
            await call.wire.end()
            await self.assert_cause(told, Cause.DONE, "done", 413)
        self.client = await self.connect()
        reply = await self.exchange("GET", BLOB, response(200, body=b"x"))
        self.assertEqual((reply.status, reply.body), (200, b"x"))


class EarlyAnswerOverTLSTests(TLSUpstream, EarlyAnswerTests):
    """The same with an upstream behind TLS."""
