"""The timeout of a connection."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.server.idle_timer import IdleTimer


class IdleTimerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.ended: list[float] = []
        self.timer = IdleTimer(
            self.clock.seconds,
            self.clock.callLater,
            lambda: self.ended.append(self.clock.seconds()),
        )

    def test_idle(self) -> None:
        """It is told once that nothing has come for so long."""
        self.timer.wait(10)
        self.clock.pump([1] * 30)
        self.assertEqual(self.ended, [10])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_busy(self) -> None:
        """What comes begins the time anew, and makes no timer."""
        self.timer.wait(10)
        (timer,) = self.clock.getDelayedCalls()
        for _ in range(9):
            self.clock.advance(1)
            self.timer.touch()
            self.timer.wait(10)
            self.assertEqual(self.clock.getDelayedCalls(), [timer])
        self.clock.pump([0.5] * 60)
        self.assertEqual(self.ended, [19])

    def test_comes_with_the_end(self) -> None:
        """What is here when the time is over, and is read a turn later, counts."""
        self.timer.wait(10)
        for moment in (10, 20):
            self.clock.callLater(moment, self.timer.touch)
        self.clock.pump([1] * 25)
        self.assertEqual(self.ended, [])
        self.clock.pump([1] * 25)
        self.assertEqual(self.ended, [30])

    def test_as_long_as_it_takes(self) -> None:
        """Without a time it waits for ever, and with one again from then on."""
        self.timer.wait(10)
        self.timer.wait(None)
        self.clock.advance(100)
        self.assertEqual((self.ended, self.clock.getDelayedCalls()), ([], []))
        self.timer.wait(10)
        self.clock.pump([1] * 10)
        self.assertEqual(self.ended, [110])

    def test_shorter(self) -> None:
        """A shorter time counts at once."""
        self.timer.wait(100)
        self.timer.wait(3)
        self.clock.advance(3)
        self.assertEqual(self.ended, [3])

    def test_stopped(self) -> None:
        """Nothing is left of it."""
        self.timer.wait(10)
        self.timer.stop()
        self.timer.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
