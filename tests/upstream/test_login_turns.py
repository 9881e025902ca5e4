"""How many requests show one login at the same time."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import UpstreamUnavailable
from regbroker.upstream.login_record import LoginRecord
from regbroker.upstream.login_turns import (
    CONFIRMED_SECONDS,
    TURN_SECONDS,
    Turn,
    Turns,
)


class TurnsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.record = LoginRecord(self.clock.seconds, 15.0)
        self.turns = Turns(self.record)

    def turn(self) -> Turn:
        """Take a turn."""
        self.assertTrue(self.turns.may_begin)
        return Turn(self.turns, self.clock)

    def take(self) -> None:
        """Have the login taken now."""
        self.record.confirmed(self.clock.seconds())
        self.turns.taken()


class TurnsTests(TurnsTestCase):
    def test_one(self) -> None:
        """One shows a login of which nothing is known; its end lets another in."""
        turn = self.turn()
        self.assertFalse(self.turns.may_begin)
        waiting = self.turns.wait()
        self.assertNoResult(waiting)
        turn.end()
        self.assertIsNone(self.successResultOf(waiting))
        self.assertTrue(self.turns.may_begin)

    def test_more(self) -> None:
        """Each time that it is taken, one more may show it."""
        turns = [self.turn()]
        for most in (2, 3, 4):
            self.take()
            while self.turns.may_begin:
                turns.append(self.turn())
            self.assertEqual(len(turns), most)

    def test_taken_lets_in(self) -> None:
        """Who waits is let in when the login is taken."""
        self.turn()
        waiting = [self.turns.wait(), self.turns.wait()]
        waiting[0].addCallback(lambda _: self.turns.begin())
        self.take()
        self.assertIsNone(self.successResultOf(waiting[0]))
        self.assertNoResult(waiting[1])

    def test_old(self) -> None:
        """What was taken a while ago counts no more."""
        turn = self.turn()
        self.take()
        self.assertTrue(self.turns.may_begin)
        self.clock.advance(CONFIRMED_SECONDS)
        self.assertFalse(self.turns.may_begin)
        turn.end()
        self.turn()
        self.assertFalse(self.turns.may_begin)

    def test_idle(self) -> None:
        """When nobody shows it or waits, the next ones begin with one turn again."""
        first, second = self.turn(), None
        self.take()
        second = self.turn()
        first.end()
        second.end()
        self.turn()
        self.assertFalse(self.turns.may_begin)

    def test_failure(self) -> None:
        """A failure that says nothing of the login is that of all who wait."""
        turn = self.turn()
        waiting = [self.turns.wait(), self.turns.wait()]
        turn.end(Failure(UpstreamUnavailable("it is down")))
        for one in waiting:
            self.failureResultOf(one, UpstreamUnavailable)

    def test_failure_of_good(self) -> None:
        """Where the login was just taken, a failure lets the next one in."""
        first = self.turn()
        self.take()
        self.turn()
        waiting = self.turns.wait()
        first.end(Failure(UpstreamUnavailable("it is down")))
        self.assertIsNone(self.successResultOf(waiting))

    def test_refused(self) -> None:
        """All who wait look for themselves when the login is refused."""
        self.turn()
        waiting = [self.turns.wait() for _ in range(3)]
        self.record.refused(401, (), self.clock.seconds())
        self.turns.look()
        for one in waiting:
            self.assertIsNone(self.successResultOf(one))

    def test_cancelled(self) -> None:
        """Who leaves waits no more."""
        turn = self.turn()
        leaving, waiting = self.turns.wait(), self.turns.wait()
        leaving.addErrback(lambda _: None)
        leaving.cancel()
        turn.end()
        self.assertIsNone(self.successResultOf(waiting))

    def test_from_within(self) -> None:
        """Who ends a turn at once lets all others in, one after the other."""
        turn = self.turn()
        ended: list[int] = []

        def begin(_: None) -> None:
            own = self.turn()
            ended.append(len(ended))
            own.end()

        for _ in range(3):
            self.turns.wait().addCallback(begin)
        turn.end()
        self.assertEqual(ended, [0, 1, 2])


class TurnTests(TurnsTestCase):
    def test_kept(self) -> None:
        """A turn that is kept ends after a while, and its timer with it."""
        turn = self.turn()
        self.assertFalse(turn.is_kept)
        turn.keep()
        self.assertTrue(turn.is_kept)
        self.clock.advance(TURN_SECONDS - 0.1)
        self.assertFalse(self.turns.may_begin)
        self.clock.advance(0.1)
        self.assertTrue(self.turns.may_begin)
        self.assertTrue(turn.is_kept)

    def test_ended_before(self) -> None:
        """One that is given back before that leaves no timer."""
        turn = self.turn()
        turn.keep()
        turn.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.turns.may_begin)

    def test_ended_twice(self) -> None:
        """A second end gives back nothing."""
        first = self.turn()
        first.end()
        self.turn()
        first.end()
        self.assertFalse(self.turns.may_begin)
