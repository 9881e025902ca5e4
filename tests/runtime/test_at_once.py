"""Coroutines that may be over at once."""

from __future__ import annotations

import gc
from collections.abc import Coroutine
from typing import Any
from weakref import ref

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.at_once import Waiting, begin


class BeginTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.outcomes: list[Any] = []

    def begin(self, work: Coroutine[Any, Any, Any]) -> Waiting | None:
        """Begin, and note how it ends."""
        return begin(work, self.outcomes.append)

    def assert_failed(self, error: type[Exception]) -> None:
        """Assert that it has ended once, and with this error."""
        (failure,) = self.outcomes
        self.assertIsInstance(failure, Failure)
        self.assertIsNotNone(failure.check(error))

    def test_at_once(self) -> None:
        """What does not wait is over."""
        done = []

        async def work() -> None:
            done.append(1)

        self.assertIsNone(self.begin(work()))
        self.assertEqual(done, [1])

    def test_raises_at_once(self) -> None:
        """What it raises before it waits is raised."""

        async def work() -> None:
            raise ValueError

        self.assertRaises(ValueError, self.begin, work())
        self.assertEqual(self.outcomes, [])

    def test_waits(self) -> None:
        """It goes on with each result, and returns its own."""
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def work() -> int:
            return await first + await second

        waiting = self.begin(work())
        assert waiting is not None
        first.callback(1)
        self.assertEqual(self.outcomes, [])
        second.callback(2)
        self.assertEqual(self.outcomes, [3])

    def test_fired_already(self) -> None:
        """What has fired is not waited for."""
        first: Deferred[int] = Deferred()
        first.callback(1)
        got = []

        async def work() -> None:
            got.append(await first)

        self.assertIsNone(self.begin(work()))
        self.assertEqual(got, [1])

    def test_failures(self) -> None:
        """A failure is raised where it was waited for; another one is the outcome."""
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def work() -> int:
            try:
                await first
            except ValueError:
                return await second
            return 0

        waiting = self.begin(work())
        assert waiting is not None
        first.errback(ValueError())
        second.errback(KeyError())
        self.assert_failed(KeyError)

    def test_cancelled(self) -> None:
        """To cancel it is to cancel what it waits for."""
        cancelled: list[Deferred[int]] = []
        first: Deferred[int] = Deferred(cancelled.append)
        ended = []

        async def work() -> None:
            try:
                await first
            finally:
                ended.append(1)

        waiting = self.begin(work())
        assert waiting is not None
        waiting.cancel()
        self.assert_failed(CancelledError)
        self.assertEqual((cancelled, ended), ([first], [1]))
        waiting.cancel()
        self.assertEqual((cancelled, len(self.outcomes)), ([first], 1))

    def test_waits_though_cancelled(self) -> None:
        """What is cancelled and waits for something else can be cancelled again."""
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def work() -> int:
            try:
                return await first
            except CancelledError:
                return await second

        waiting = self.begin(work())
        assert waiting is not None
        waiting.cancel()
        self.assertEqual(self.outcomes, [])
        waiting.cancel()
        self.assert_failed(CancelledError)

    def freed_when_over(self, work: Coroutine[Any, Any, Any]) -> ref[Any]:
        """Begin what waits; return a reference to what knows it and will be told."""

        class Told:
            waiting: Waiting | None

            def told(self, outcome: object) -> None:
                """Note nothing."""

        told = Told()
        told.waiting = begin(work, told.told)
        return ref(told)

    def test_leaves_no_cycle(self) -> None:
        """Whoever is told, and knows what waited, is freed at once."""
        first: Deferred[int] = Deferred()

        async def work() -> None:
            await first

        told = self.freed_when_over(work())
        self.assertIsNotNone(told())
        first.callback(1)
        self.assertIsNone(told())

    def test_failure_leaves_no_cycle(self) -> None:
        """So is whoever is told of an error, whose traceback knows who tells."""
        first: Deferred[int] = Deferred()

        async def work() -> None:
            await first
            raise ValueError

        gc.disable()
        self.addCleanup(gc.enable)
        told = self.freed_when_over(work())
        self.assertIsNotNone(told())
        first.callback(1)
        self.assertIsNone(told())
