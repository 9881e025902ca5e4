"""Lines that strangers cause: as many as are useful, and a count of the others."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.bounded_lines import (
    MAX_LINES,
    MAX_LINES_OF_A_CLIENT,
    WINDOW_SECONDS,
    BoundedLines,
)


class BoundedLinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.left_out: list[int] = []
        self.lines = BoundedLines(self.clock, self.left_out.append)

    def had(self, client: str, times: int) -> int:
        """How many lines a client has, of those that it causes."""
        return sum(self.lines.has_room(client) for _ in range(times))

    def test_of_a_client(self) -> None:
        """One client has some lines a minute; others have theirs."""
        times = MAX_LINES_OF_A_CLIENT + 5
        self.assertEqual(self.had("192.0.2.1", times), MAX_LINES_OF_A_CLIENT)
        self.assertEqual(self.had("192.0.2.2", 1), 1)
        self.clock.advance(WINDOW_SECONDS)
        self.assertEqual(self.left_out, [5])
        self.assertEqual(self.had("192.0.2.1", 1), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_in_all(self) -> None:
        """So do all clients together, and no more of them are remembered."""
        had = sum(self.had(f"2001:db8::{n:x}", 1) for n in range(MAX_LINES * 3))
        self.assertEqual(had, MAX_LINES)
        self.assertEqual(len(self.lines._lines), MAX_LINES)
        self.clock.advance(WINDOW_SECONDS)
        self.assertEqual(self.left_out, [MAX_LINES * 2])

    def test_stop(self) -> None:
        """What was left out is told at the end, once, and no timer is left behind."""
        self.lines.stop()
        self.assertEqual(self.left_out, [])
        self.had("192.0.2.1", MAX_LINES_OF_A_CLIENT + 1)
        self.lines.stop()
        self.lines.stop()
        self.assertEqual(self.left_out, [1])
        self.assertEqual(self.clock.getDelayedCalls(), [])
