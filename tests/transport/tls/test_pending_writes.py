"""What was written and is not encrypted yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.tls.pending_writes import Deliveries, PendingWrites


class Taking(Protocol):
    """A protocol that has what it receives taken by a function."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.take = take

    def dataReceived(self, data: bytes) -> None:
        self.take(data)


class PendingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.flushed: list[bytes] = []
        self.deliveries = Deliveries()
        self.pending = PendingWrites(
            self.clock.callLater,
            lambda: self.flushed.append(b"".join(self.pending.take())),
            self.deliveries,
        )

    def deliver(self, data: bytes, take: Callable[[bytes], None]) -> None:
        """Deliver data to a protocol that has it taken."""
        self.deliveries.deliver(data, Taking(take))

    def test_one_turn(self) -> None:
        """What is written in one turn is flushed once, in order."""
        for piece in (b"a", b"b", b"", b"c"):
            self.pending.add((piece,))
            self.pending.flush_soon()
        self.assertEqual((self.pending.size, self.flushed), (3, []))
        self.clock.advance(0)
        self.assertEqual((self.pending.size, self.flushed), (0, [b"abc"]))
        self.pending.add((b"d", b"e"))
        self.pending.flush_soon()
        self.clock.advance(0)
        self.assertEqual(self.flushed, [b"abc", b"de"])

    def test_delivered(self) -> None:
        """What is written while bytes are delivered is flushed when they are."""
        seen: list[list[bytes]] = []

        def take(data: bytes) -> None:
            self.pending.add((data,))
            self.pending.flush_soon()
            if data != b"c":
                self.deliver(bytes([data[0] + 1]), take)
            seen.append(list(self.flushed))

        self.deliver(b"a", take)
        self.assertEqual(seen, [[], [], []])
        self.assertEqual(self.flushed, [b"abc"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.deliveries.depth, 0)

    def test_delivery_fails(self) -> None:
        """So it is when who takes them fails, or the connection is closed."""

        def take(data: bytes) -> None:
            self.pending.add((data,))
            self.pending.flush_soon()
            if data == b"b":
                self.pending.close()
            raise KeyError

        for data in (b"a", b"b", b"c"):
            with self.assertRaises(KeyError):
                self.deliver(data, take)
        self.assertEqual(self.flushed, [b"a", b"c"])

    def test_nothing(self) -> None:
        """Nothing is not flushed."""
        self.pending.add((b"",))
        self.pending.flush_soon()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_piece(self) -> None:
        """One piece is not copied."""
        piece = bytes(100)
        self.pending.add((piece,))
        self.assertIs(self.pending.take()[0], piece)

    def test_what_can_change(self) -> None:
        """A buffer may be used again by who has written it."""
        buffer = bytearray(b"before")
        views: Any = (buffer, memoryview(buffer))
        self.pending.add(views)
        buffer[:] = b"after!"
        self.assertEqual(self.pending.take(), [b"before", b"before"])

    def test_no_bytes(self) -> None:
        """What is no bytes is refused."""
        for wrong in ("text", 5, None):
            pieces: Any = (wrong,)
            with self.assertRaises(TypeError):
                self.pending.add(pieces)

    def test_closed(self) -> None:
        """What is closed is empty, and never flushes."""
        self.pending.add((b"a",))
        self.pending.flush_soon()
        self.pending.close()
        self.clock.advance(1)
        self.assertEqual((self.flushed, self.clock.getDelayedCalls()), ([], []))
        self.assertEqual((self.pending.size, self.pending.take()), (0, []))
