"""When an upstream is asked again in the background."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import TooManyRequests, UpstreamUnavailable
from regbroker.protocol.retry_after import retry_after
from regbroker.upstream.background_discovery import (
    FIRST_RETRY_SECONDS,
    LAST_RETRY_SECONDS,
    REDISCOVER_SECONDS,
    BackgroundDiscovery,
)


async def waited(answer: Deferred[object]) -> object:
    """A call that ends as `answer` does."""
    return await answer


class BackgroundDiscoveryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls = 0
        self.error: BaseException | None = None
        self.background = BackgroundDiscovery("up", self.discover, self.clock)

    async def discover(self) -> None:
        """The upstream answers, or fails."""
        self.calls += 1
        if self.error is not None:
            raise self.error

    def pause(self) -> float:
        """How long until the next call; makes that call."""
        (call,) = self.clock.getDelayedCalls()
        seconds: float = call.getTime() - self.clock.seconds()
        before = self.calls
        self.clock.advance(seconds)
        self.assertEqual(self.calls, before + 1)
        return seconds

    def test_regularly(self) -> None:
        """At once, and then every ten minutes."""
        self.background.start()
        self.assertEqual(self.calls, 1)
        self.assertEqual([self.pause(), self.pause()], [REDISCOVER_SECONDS] * 2)

    def test_failures(self) -> None:
        """Pauses double up to a minute, and begin anew after an answer."""
        self.error = UpstreamUnavailable("it is down")
        self.background.start()
        pauses = [self.pause() for _ in range(9)]
        expected = [
            min(FIRST_RETRY_SECONDS * 2**number, LAST_RETRY_SECONDS)
            for number in range(9)
        ]
        self.assertEqual(pauses, expected)
        self.error = None
        self.pause()
        self.error = UpstreamUnavailable("it is down again")
        self.assertEqual(self.pause(), REDISCOVER_SECONDS)
        self.assertEqual(self.pause(), FIRST_RETRY_SECONDS)

    def test_retry_after(self) -> None:
        """What the upstream says makes a pause longer."""
        self.error = TooManyRequests("too many", headers=[retry_after(30)])
        self.background.start()
        self.assertEqual(self.pause(), 30)

    def test_cancelled(self) -> None:
        """A call that was cancelled is the last one."""
        self.error = CancelledError()
        self.background.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """Stopped, it makes no more calls; stopping twice does no harm."""
        self.background.start()
        self.background.stop()
        self.background.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_meanwhile(self) -> None:
        """However a call ends that was under way at the stop, it is the last one."""
        for outcome in (None, Failure(UpstreamUnavailable("it was cancelled"))):
            answer: Deferred[object] = Deferred()
            background = BackgroundDiscovery("up", partial(waited, answer), self.clock)
            background.start()
            background.stop()
            answer.callback(outcome)
            self.assertEqual(self.clock.getDelayedCalls(), [])
