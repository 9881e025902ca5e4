"""A result that is waited for, with a Deferred and without."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any
from weakref import ref

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.at_once import Waiting, begin
from regbroker.runtime.outcome import Outcome


class Work(Outcome[int]):
    """Work by hand; how often it was given up."""

    given_up = 0

    def give_up(self) -> None:
        self.given_up += 1


async def doubled(outcome: Outcome[int]) -> int:
    """Wait for a result, as some layers do."""
    return 2 * await outcome


class OutcomeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.work = Work()
        self.ended: list[Any] = []

    def begin(self, work: Coroutine[Any, Any, Any]) -> Waiting | None:
        """Drive a coroutine without a Deferred."""
        return begin(work, self.ended.append)

    def test_waits(self) -> None:
        """A coroutine that waits gets the value."""
        self.begin(doubled(self.work))
        self.assertEqual(self.ended, [])
        self.work.end(4)
        self.assertEqual(self.ended, [8])

    def test_waits_in_vain(self) -> None:
        """It gets the error, too, as one that was raised."""
        self.begin(doubled(self.work))
        self.work.end(Failure(ValueError("no")))
        (failure,) = self.ended
        self.assertIsNotNone(failure.check(ValueError))
        self.assertEqual(str(failure.value), "no")

    def test_ended_before(self) -> None:
        """What has ended is not waited for, by whatever drives."""
        self.work.end(4)
        got = []

        async def work() -> None:
            got.append(await doubled(self.work))

        self.assertIsNone(self.begin(work()))
        self.successResultOf(Deferred.fromCoroutine(work()))
        self.assertEqual(got, [8, 8])

    def test_failed_before(self) -> None:
        """The same with an error."""
        self.work.end(Failure(ValueError()))
        self.assertRaises(ValueError, self.begin, doubled(self.work))
        working = Deferred.fromCoroutine(doubled(self.work))
        self.failureResultOf(working, ValueError)

    def test_waits_with_deferreds(self) -> None:
        """A coroutine that Twisted drives waits as well: for a value, for an error."""
        working = Deferred.fromCoroutine(doubled(self.work))
        self.assertNoResult(working)
        self.work.end(4)
        self.assertEqual(self.successResultOf(working), 8)
        self.work = Work()
        working = Deferred.fromCoroutine(doubled(self.work))
        self.work.end(Failure(ValueError()))
        self.failureResultOf(working, ValueError)

    def test_cancelled(self) -> None:
        """To cancel is to give up the work; who waits hears of it at once."""
        waiting = self.begin(doubled(self.work))
        assert waiting is not None
        waiting.cancel()
        self.assertEqual(self.work.given_up, 1)
        (failure,) = self.ended
        self.assertIsNotNone(failure.check(CancelledError))
        waiting.cancel()
        self.assertEqual((self.work.given_up, len(self.ended)), (1, 1))

    def test_cancelled_with_deferreds(self) -> None:
        """So it is where Twisted drives."""
        working = Deferred.fromCoroutine(doubled(self.work))
        working.cancel()
        self.assertEqual(self.work.given_up, 1)
        self.failureResultOf(working, CancelledError)

    def test_cancelled_too_late(self) -> None:
        """What has ended is not given up."""
        self.work.end(4)
        self.work.cancel()
        self.assertEqual(self.work.given_up, 0)
        self.assertEqual(self.successResultOf(self.work.deferred()), 4)

    def test_mistake_of_who_waits(self) -> None:
        """An error of who is told is logged, and no affair of the work's."""

        def told(result: object) -> None:
            raise KeyError(result)

        self.work.addBoth(told)
        self.work.end(4)
        (failure,) = self.flushLoggedErrors(KeyError)
        self.assertEqual(failure.value.args, (4,))

    def test_leaves_no_cycle(self) -> None:
        """Who waits and knows the work is freed with the result."""

        class Knowing:
            def __init__(self, work: Outcome[int]) -> None:
                self.work = work
                work.addBoth(self.told)

            def told(self, result: object) -> None:
                """Note nothing."""

        knowing = ref(Knowing(self.work))
        self.assertIsNotNone(knowing())
        self.work.end(4)
        self.assertIsNone(knowing())
