"""
A coroutine that has so much time, and runs by itself.

Who waits for its end need not be there from the beginning, and several things may be
under way at once. It is driven as `regbroker.runtime.at_once` does, without Deferreds.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, TimeoutError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from regbroker.runtime.at_once import Driven
from regbroker.runtime.outcome import Outcome

T = TypeVar("T")


class TimedOut(TimeoutError):
    """
    Work was cancelled, since it took too long.

    `cancelled` is the error that it ended with: its class may say what it was waiting
    for.
    """

    def __init__(self, cancelled: BaseException | None = None) -> None:
        super().__init__()
        self.cancelled = cancelled


class InTime(Driven, Outcome[T]):
    """
    The end of a coroutine, which begins now and has to end within some seconds.

    After that, or by `cancel`, what it waits for is cancelled, and it goes on with what
    comes of that. One that is late and ends with `CancelledError` has `TimedOut` for
    its outcome. `clock` is the reactor.
    """

    _timer: IDelayedCall | None = None
    _is_late = False

    def __init__(
        self, work: Coroutine[Any, Any, T], seconds: float, clock: IReactorTime
    ) -> None:
        self.begin(work)
        if self.awaited is not None:
            self._timer = clock.callLater(seconds, self._cancel_late)

    def returned(self, value: T) -> None:
        """End with the value."""
        self._end(value)

    def raised(self, error: BaseException) -> None:
        """End with the error."""
        if self._is_late and isinstance(error, CancelledError):
            error = TimedOut(error)
        self._end(Failure(error))

    def _cancel_late(self) -> None:
        self._timer, self._is_late = None, True
        self.cancel()

    def _end(self, result: T | Failure) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self.end(result)
