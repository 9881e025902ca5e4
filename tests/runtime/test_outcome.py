"""A result that is waited for, with a Deferred and without."""

from __future__ import annotations

from weakref import ref

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.outcome import Outcome
from tests.runtime.noted import Noted


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

    def test_waits(self) -> None:
        """A coroutine that waits gets the value."""
        doubling = Noted(doubled(self.work))
        self.assertEqual(doubling.ends, [])
        self.work.end(4)
        self.assertEqual(doubling.ends, [8])

    def test_waits_in_vain(self) -> None:
        """It gets the error, too, as one that was raised."""
        doubling = Noted(doubled(self.work))
        error = ValueError("no")
        self.work.end(Failure(error))
        self.assertEqual(doubling.ends, [error])

    def test_ended_before(self) -> None:
        """What has ended is not waited for, by whatever drives."""
        self.work.end(4)
        doubling = Noted(doubled(self.work))
        self.assertEqual(doubling.ends, [8])
        working = Deferred.fromCoroutine(doubled(self.work))
        self.assertEqual(self.successResultOf(working), 8)

    def test_failed_before(self) -> None:
        """The same with an error."""
        error = ValueError()
        self.work.end(Failure(error))
        self.assertEqual(Noted(doubled(self.work)).ends, [error])
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
        doubling = Noted(doubled(self.work))
        doubling.cancel()
        self.assertEqual(self.work.given_up, 1)
        (end,) = doubling.ends
        self.assertIsInstance(end, CancelledError)
        doubling.cancel()
        self.assertEqual((self.work.given_up, len(doubling.ends)), (1, 1))

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
