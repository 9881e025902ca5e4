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

from regbroker.runtime.at_once import Waiting
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


class InTime(Outcome[T]):
    """
    The end of a coroutine, which begins now and has to end within some seconds.

    After that, or by `cancel`, what it waits for is cancelled, and it goes on with what
    comes of that. One that is late and ends with `CancelledError` has `TimedOut` for
    its outcome. `clock` is the reactor.
    """

    _waiting: Waiting | None = None
    _timer: IDelayedCall | None = None

    def __init__(
        self, work: Coroutine[Any, Any, T], seconds: float, clock: IReactorTime
    ) -> None:
        try:
            awaited = work.send(None)
        except StopIteration as end:
            self.end(end.value)
        except BaseException:
            self.end(Failure())
        else:
            self._timer = clock.callLater(seconds, self._cancel_late)
            self._waiting = Waiting(work, self._over)
            self._waiting.wait(awaited)

    def cancel(self) -> None:
        """Cancel what the coroutine waits for, unless it has ended."""
        if self._waiting is not None:
            self._waiting.cancel()

    def _cancel_late(self) -> None:
        self._timer = None
        self.cancel()

    def _over(self, result: Any) -> None:
        timer, self._timer, self._waiting = self._timer, None, None
        if timer is not None:
            timer.cancel()
        elif isinstance(result, Failure) and result.check(CancelledError):
            result = Failure(TimedOut(result.value))
        self.end(result)
