"""Waits for a directory end: with a result, after their time, or when it is closed."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.answers import DirectoryError
from regbroker.accounts.ldap.waits import Waits
from regbroker.errors import AccountsUnavailable


class WaitsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.waits = Waits(self.clock, 5.0)
        self.waits.open()
        self.cancelled: list[Deferred[str]] = []
        self.step: Deferred[str] = Deferred(self.cancelled.append)

    def wait(self) -> Deferred[str]:
        """Wait for the step."""
        return Deferred.fromCoroutine(self.waits.until("an answer", self.step))

    def test_result(self) -> None:
        """The result passes on, and no timer is left."""
        waiting = self.wait()
        self.assertNoResult(waiting)
        self.step.callback("here")
        self.assertEqual(self.successResultOf(waiting), "here")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """So does a failure, as it is."""
        waiting = self.wait()
        self.step.errback(OSError("no route"))
        self.failureResultOf(waiting, OSError)

    def test_too_long(self) -> None:
        """After its time a wait ends, its step is cancelled, and it says for what."""
        waiting = self.wait()
        self.clock.advance(4.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.2)
        failure = self.failureResultOf(waiting, DirectoryError)
        self.assertEqual(str(failure.value), "waited 5 s in vain for an answer")
        self.assertEqual(self.cancelled, [self.step])

    def test_closed(self) -> None:
        """To close ends every wait: accounts are unavailable."""
        waiting, other = self.wait(), Deferred[str]()
        second = Deferred.fromCoroutine(self.waits.until("a turn", other))
        self.waits.close()
        self.failureResultOf(waiting, AccountsUnavailable)
        self.failureResultOf(second, AccountsUnavailable)
        self.assertEqual(self.cancelled, [self.step])
        self.assertFalse(self.waits.is_open)

    def test_cancelled(self) -> None:
        """While it is open, a cancelled wait is just that."""
        waiting = self.wait()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
