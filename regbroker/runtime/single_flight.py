"""One execution for all callers that want the same at the same time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

from regbroker.runtime.in_time import InTime
from regbroker.runtime.outcome import Outcome

T = TypeVar("T")


class Coalescer(Generic[T]):
    """
    Concurrent `run` calls with one key share one execution (Go: singleflight).

    A caller that is cancelled leaves, and the work goes on for the others. When the
    last caller leaves, the work is cancelled, unless it `is_kept`: then its result
    serves later callers.
    """

    def __init__(
        self, clock: IReactorTime, timeout: float, is_kept: bool = False
    ) -> None:
        self._is_kept = is_kept
        self._clock = clock
        self._timeout = timeout
        self._waiters: dict[Hashable, list[_Waiter[T]]] = {}
        self._work: dict[Hashable, InTime[T]] = {}

    def run(
        self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> Outcome[T]:
        """
        Return the outcome of `work`, or of the same work already under way.

        Fails with `twisted.internet.defer.TimeoutError` when it takes longer
        than the timeout, in seconds.
        """
        waiter: _Waiter[T] = _Waiter(partial(self._leave, key))
        if key in self._waiters:
            self._waiters[key].append(waiter)
            return waiter
        self._waiters[key] = waiters = [waiter]
        started = self._work[key] = InTime(work(), self._timeout, self._clock)
        started.addBoth(lambda outcome: self._tell(outcome, key, waiters))
        return waiter

    def is_under_way(self, key: Hashable) -> bool:
        """Tell whether a caller would join work that has begun."""
        return key in self._waiters

    def cancel(self) -> None:
        """Cancel all work; each caller gets `CancelledError`."""
        for work in list(self._work.values()):
            work.cancel()

    def _leave(self, key: Hashable, waiter: _Waiter[T]) -> None:
        waiters = self._waiters.get(key, [])
        if waiter in waiters:
            waiters.remove(waiter)
            if not waiters and key in self._work and not self._is_kept:
                self._waiters.pop(key)
                self._work.pop(key).cancel()

    def _tell(self, outcome: Any, key: Hashable, waiters: list[_Waiter[T]]) -> None:
        if self._waiters.get(key) is waiters:
            self._work.pop(key, None)
            del self._waiters[key]
        for waiter in tuple(waiters):
            # What one makes of it may be the end of another.
            if not waiter.has_ended:
                waiter.end(outcome)


class _Waiter(Outcome[T]):
    """The outcome of shared work, for one caller; `leave` is told if that leaves."""

    def __init__(self, leave: Callable[[_Waiter[T]], object]) -> None:
        self._leave = leave

    def give_up(self) -> None:
        self._leave(self)
