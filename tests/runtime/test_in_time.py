"""Coroutines that have so much time."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.in_time import InTime, TimedOut
from tests.runtime.noted import Noted


class Elsewhere(CancelledError):
    """Work was cancelled that waited for somebody else."""


class InTimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.awaited: Deferred[int] = Deferred()

    def begin(self, work: Coroutine[Any, Any, int]) -> InTime[int]:
        """Begin work that has ten seconds."""
        return InTime(work, 10, self.clock)

    async def wait(self) -> int:
        """Wait for what is awaited, and return one more."""
        return await self.awaited + 1

    def test_at_once(self) -> None:
        """What does not wait is over, and needs no timer."""

        async def work() -> int:
            return 3

        async def fail() -> int:
            raise ValueError

        done = self.begin(work())
        self.assertTrue(done.has_ended)
        self.assertEqual(self.successResultOf(done.deferred()), 3)
        self.failureResultOf(self.begin(fail()).deferred(), ValueError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waits(self) -> None:
        """It goes on by itself; its end is there for who comes later."""
        working = self.begin(self.wait())
        self.assertFalse(working.has_ended)
        self.awaited.callback(2)
        self.assertTrue(working.has_ended)
        self.assertEqual(self.successResultOf(working.deferred()), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fails(self) -> None:
        """What it raises is raised for who waits."""
        working = self.begin(self.wait()).deferred()
        self.awaited.errback(ValueError())
        self.failureResultOf(working, ValueError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self) -> None:
        """When the time is over, it is cancelled."""
        working = self.begin(self.wait())
        self.clock.advance(9.9)
        self.assertFalse(working.has_ended)
        self.clock.advance(0.2)
        failure = self.failureResultOf(working.deferred(), TimedOut)
        self.assertIsNotNone(failure.check(TimeoutError))
        self.assertIsInstance(failure.value.cancelled, CancelledError)

    def test_late_elsewhere(self) -> None:
        """What it was cancelled with is told."""

        async def work() -> int:
            try:
                return await self.awaited
            except CancelledError:
                raise Elsewhere from None

        working = self.begin(work())
        self.clock.advance(10)
        failure = self.failureResultOf(working.deferred(), TimedOut)
        self.assertIsInstance(failure.value.cancelled, Elsewhere)

    def test_late_and_knows(self) -> None:
        """Work that makes something else of it is not asked again."""

        async def work() -> int:
            try:
                return await self.awaited
            except CancelledError:
                return 7

        working = self.begin(work())
        self.clock.advance(10)
        self.assertEqual(self.successResultOf(working.deferred()), 7)

    def test_cancelled(self) -> None:
        """What is cancelled from outside is not late."""
        working = self.begin(self.wait())
        working.cancel()
        self.failureResultOf(working.deferred(), CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        working.cancel()

    def test_cancelled_by_who_waits(self) -> None:
        """Who waits for it and is cancelled cancels it."""

        async def outer() -> int:
            return await self.begin(self.wait())

        waiting = Noted(outer())
        waiting.cancel()
        self.assertTrue(self.awaited.called)
        (end,) = waiting.ends
        self.assertIsInstance(end, CancelledError)
