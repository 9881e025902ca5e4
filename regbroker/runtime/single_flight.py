"""One execution for all callers that want the same at the same time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

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
        self._waiters: dict[Hashable, list[Deferred[T]]] = {}
        self._work: dict[Hashable, Deferred[T]] = {}

    def run(
        self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> Deferred[T]:
        """
        Return the outcome of `work`, or of the same work already under way.

        Fails with `twisted.internet.defer.TimeoutError` when it takes longer
        than the timeout, in seconds.
        """
        waiter: Deferred[T] = Deferred(lambda leaving: self._leave(key, leaving))
        if key in self._waiters:
            self._waiters[key].append(waiter)
            return waiter
        self._waiters[key] = [waiter]
        started = Deferred.fromCoroutine(work())
        self._work[key] = started
        started.addTimeout(self._timeout, self._clock)
        started.addBoth(self._tell, key, self._waiters[key])
        return waiter

    def is_under_way(self, key: Hashable) -> bool:
        """Tell whether a caller would join work that has begun."""
        return key in self._waiters

    def cancel(self) -> None:
        """Cancel all work; each caller gets `CancelledError`."""
        for work in list(self._work.values()):
            work.cancel()

    def _leave(self, key: Hashable, waiter: Deferred[T]) -> None:
        waiters = self._waiters.get(key, [])
        if waiter in waiters:
            waiters.remove(waiter)
            if not waiters and key in self._work and not self._is_kept:
                self._waiters.pop(key)
                self._work.pop(key).cancel()

    def _tell(self, outcome: Any, key: Hashable, waiters: list[Deferred[T]]) -> None:
        if self._waiters.get(key) is waiters:
            self._work.pop(key, None)
            del self._waiters[key]
        for waiter in tuple(waiters):
            # What one makes of it may be the end of another.
            if not waiter.called:
                waiter.callback(outcome)
