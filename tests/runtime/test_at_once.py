"""Coroutines that may be over at once."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.at_once import begin


class BeginTests(SynchronousTestCase):
    def test_at_once(self) -> None:
        """What does not wait is over."""
        done = []

        async def work() -> None:
            done.append(1)

        self.assertIsNone(begin(work()))
        self.assertEqual(done, [1])

    def test_raises_at_once(self) -> None:
        """What it raises before it waits is raised."""

        async def work() -> None:
            raise ValueError

        self.assertRaises(ValueError, begin, work())

    def test_waits(self) -> None:
        """It goes on with each result, and returns its own."""
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def work() -> int:
            return await first + await second

        result = begin(work())
        assert result is not None
        first.callback(1)
        self.assertNoResult(result)
        second.callback(2)
        self.assertEqual(self.successResultOf(result), 3)

    def test_fired_already(self) -> None:
        """What has fired is not waited for."""
        first: Deferred[int] = Deferred()
        first.callback(1)
        got = []

        async def work() -> None:
            got.append(await first)

        self.assertIsNone(begin(work()))
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

        result = begin(work())
        assert result is not None
        first.errback(ValueError())
        second.errback(KeyError())
        self.failureResultOf(result, KeyError)

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

        result = begin(work())
        assert result is not None
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual((cancelled, ended), ([first], [1]))
