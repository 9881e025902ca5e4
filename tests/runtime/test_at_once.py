"""Coroutines that may be over at once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import ref

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.at_once import Driven
from regbroker.runtime.outcome import Outcome
from tests.runtime.noted import Noted


class DrivenTests(SynchronousTestCase):
    def assert_failed(self, driven: Noted, error: type[Exception]) -> None:
        """Assert that it has ended once, and with this error."""
        (end,) = driven.ends
        self.assertIsInstance(end, error)
        self.assertIsNone(driven.awaited)

    def test_at_once(self) -> None:
        """What does not wait is over."""
        done = []

        async def work() -> None:
            done.append(1)

        driven = Noted(work())
        self.assertEqual((done, driven.ends), ([1], [None]))
        self.assertIsNone(driven.awaited)

    def test_raises_at_once(self) -> None:
        """What it raises before it waits is told as any other error."""

        async def work() -> None:
            raise ValueError

        self.assert_failed(Noted(work()), ValueError)

    def test_waits(self) -> None:
        """It goes on with each result until its end."""
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def work() -> int:
            return await first + await second

        driven = Noted(work())
        self.assertIs(driven.awaited, first)
        first.callback(1)
        self.assertIs(driven.awaited, second)
        self.assertEqual(driven.ends, [])
        second.callback(2)
        self.assertEqual(driven.ends, [3])
        self.assertIsNone(driven.awaited)

    def test_fired_already(self) -> None:
        """What has fired is not waited for."""
        first: Deferred[int] = Deferred()
        first.callback(1)
        got = []

        async def work() -> None:
            got.append(await first)

        self.assertEqual(Noted(work()).ends, [None])
        self.assertEqual(got, [1])

    def test_fires_at_once(self) -> None:
        """What fires while it begins to be waited for leaves nothing waiting."""

        class Ready(Outcome[int]):
            def addBoth(self, told: Callable[[Any], object]) -> None:
                told(1)

        async def work() -> int:
            return await Ready()

        driven = Noted(work())
        self.assertEqual(driven.ends, [1])
        self.assertIsNone(driven.awaited)

    def test_failures(self) -> None:
        """A failure is raised where it was waited for; another one is its end."""
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def work() -> int:
            try:
                await first
            except ValueError:
                return await second
            return 0

        driven = Noted(work())
        first.errback(ValueError())
        second.errback(KeyError())
        self.assert_failed(driven, KeyError)

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

        driven = Noted(work())
        driven.cancel()
        self.assert_failed(driven, CancelledError)
        self.assertEqual((cancelled, ended), ([first], [1]))
        driven.cancel()
        self.assertEqual((cancelled, len(driven.ends)), ([first], 1))

    def test_waits_though_cancelled(self) -> None:
        """What is cancelled and waits for something else can be cancelled again."""
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def work() -> int:
            try:
                return await first
            except CancelledError:
                return await second

        driven = Noted(work())
        driven.cancel()
        self.assertEqual(driven.ends, [])
        driven.cancel()
        self.assert_failed(driven, CancelledError)

    def test_leaves_no_cycle(self) -> None:
        """What has ended is freed at once."""
        first: Deferred[int] = Deferred()

        async def work() -> None:
            await first

        self.assert_freed(first, work())

    def test_failure_leaves_no_cycle(self) -> None:
        """So is what ends with an error, whose traceback knows who tells."""
        first: Deferred[int] = Deferred()

        async def work() -> None:
            await first
            raise ValueError

        self.assert_freed(first, work())

    def assert_freed(
        self, first: Deferred[int], work: Coroutine[Any, Any, Any]
    ) -> None:
        """Assert that nothing but `first` keeps what waits for it."""

        class Forgotten(Driven):
            def returned(self, value: Any) -> None:
                """Note nothing."""

            def raised(self, error: BaseException) -> None:
                """Note nothing."""

        gc.disable()
        self.addCleanup(gc.enable)
        begun = Forgotten()
        begun.begin(work)
        driven = ref(begun)
        del begun
        self.assertIsNotNone(driven())
        first.callback(1)
        self.assertIsNone(driven())
