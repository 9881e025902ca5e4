"""Transfers that stand still, and the one timer that finds them."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.flow.stalls import Stall, Stalls


class StallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.watched = Stalls(self.clock)
        self.stalls: list[tuple[str, float]] = []

    def stall(self, name: str = "a", seconds: float = 10) -> Stall:
        """One that is watched."""
        return Stall(
            self.watched,
            seconds,
            lambda: self.stalls.append((name, self.clock.seconds())),
        )

    def assertTimers(self, count: int) -> None:
        """So many timers are set."""
        self.assertEqual(len(self.clock.getDelayedCalls()), count)

    def test_nothing_moves(self) -> None:
        """Told once, after the time."""
        self.stall()
        self.clock.pump([9.9, 0.1, 100])
        self.assertEqual(self.stalls, [("a", 10)])
        self.assertTimers(0)

    def test_something_moves(self) -> None:
        """Each sign of life gives the whole time again."""
        stall = self.stall()
        for _ in range(10):
            self.clock.advance(6)
            stall.touch()
        self.clock.pump([1] * 9)
        self.assertEqual(self.stalls, [])
        self.clock.advance(1)
        self.assertEqual(self.stalls, [("a", 70)])

    def test_stopped(self) -> None:
        """Nobody is told when nobody cares any more."""
        stall = self.stall()
        stall.stop()
        stall.stop()
        self.clock.advance(11)
        self.assertEqual(self.stalls, [])
        self.assertTimers(0)

    def test_one_after_the_other(self) -> None:
        """For many that come and go no timer is set and cancelled each time."""
        self.stall().stop()
        (timer,) = self.clock.getDelayedCalls()
        for _ in range(5):
            self.clock.advance(1)
            self.stall().stop()
        self.assertEqual(self.clock.getDelayedCalls(), [timer])
        self.stall("b")
        self.clock.pump([5, 4])
        self.assertEqual(self.stalls, [])
        self.clock.advance(1)
        self.assertEqual(self.stalls, [("b", 15)])

    def test_closed(self) -> None:
        """After the end no timer is left, once nothing is watched."""
        self.stall().stop()
        self.watched.close()
        self.assertTimers(0)
        last = self.stall("b")
        self.assertTimers(1)
        last.stop()
        self.assertTimers(0)
        self.stall("c")
        self.clock.advance(10)
        self.assertEqual(self.stalls, [("c", 10)])
        self.assertTimers(0)

    def test_closed_meanwhile(self) -> None:
        """What is watched then is watched on."""
        self.stall()
        self.watched.close()
        self.clock.advance(10)
        self.assertEqual(self.stalls, [("a", 10)])
        self.assertTimers(0)

    def test_one_timer(self) -> None:
        """Many have one timer, and each its own time."""
        for name, seconds in (("b", 20), ("a", 10), ("c", 30)):
            self.stall(name, seconds)
        self.assertTimers(1)
        for _ in range(30):
            self.clock.advance(1)
        self.assertEqual(self.stalls, [("a", 10), ("b", 20), ("c", 30)])
        self.assertTimers(0)

    def test_stopped_by_another(self) -> None:
        """One that is stopped by what is told before it is not told."""
        Stall(self.watched, 10, lambda: other.stop())
        other = self.stall()
        self.clock.advance(10)
        self.assertEqual(self.stalls, [])
        self.assertTimers(0)

    def test_begun_by_another(self) -> None:
        """One that begins when another is told has its own time."""
        Stall(self.watched, 10, lambda: self.stall("b", 5))
        self.stall("a", 30)
        self.clock.pump([10, 5, 15])
        self.assertEqual(self.stalls, [("b", 15), ("a", 30)])
        self.assertTimers(0)

    def test_later_begun_by_another(self) -> None:
        """One that begins when another is told leaves the others their time."""
        Stall(self.watched, 10, lambda: self.stall("b", 100))
        self.stall("a", 30)
        self.clock.pump([10, 20, 80])
        self.assertEqual(self.stalls, [("a", 30), ("b", 110)])
        self.assertTimers(0)

    def test_error(self) -> None:
        """An error when one is told leaves the others their time."""

        def fail() -> None:
            raise ValueError("told")

        Stall(self.watched, 10, fail)
        self.stall("a")
        self.stall("b", 30)
        with self.assertRaises(ValueError):
            self.clock.advance(10)
        self.clock.pump([0, 20])
        self.assertEqual(self.stalls, [("a", 10), ("b", 30)])
        self.assertTimers(0)

    def test_others(self) -> None:
        """What is watched for another upstream is another's affair."""
        other = Clock()
        Stall(Stalls(other), 1, lambda: self.stalls.append(("other", other.seconds())))
        self.stall()
        self.assertTimers(1)
        self.clock.advance(10)
        self.assertEqual(self.stalls, [("a", 10)])
        other.advance(1)
        self.assertEqual(self.stalls, [("a", 10), ("other", 1)])
