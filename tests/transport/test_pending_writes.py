"""What was written and is not encrypted yet."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.pending_writes import PendingWrites


class PendingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.flushed: list[bytes] = []
        self.pending = PendingWrites(
            self.clock.callLater, lambda: self.flushed.append(self.pending.take())
        )

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

    def test_nothing(self) -> None:
        """Nothing is not flushed."""
        self.pending.add((b"",))
        self.pending.flush_soon()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_piece(self) -> None:
        """One piece is not copied."""
        piece = bytes(100)
        self.pending.add((piece,))
        self.assertIs(self.pending.take(), piece)

    def test_what_can_change(self) -> None:
        """A buffer may be used again by who has written it."""
        buffer = bytearray(b"before")
        views: Any = (buffer, memoryview(buffer))
        self.pending.add(views)
        buffer[:] = b"after!"
        self.assertEqual(self.pending.take(), b"beforebefore")

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
        self.assertEqual((self.pending.size, self.pending.take()), (0, b""))
