"""One piece of work for all who want the same at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")


class Coalescer(Generic[T]):
    """
    Runs work under keys: who comes while a key's work is under way, joins it.

    Nobody who waits can disturb the others: a waiter that is cancelled leaves, and the
    work goes on. With the last one the work is cancelled: nobody wants it any more.
    Unless it `is_kept`, since others will want what comes of it.
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

    def cancel(self) -> None:
        """End all work; who waits is told so."""
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
