"""
Transfers in which nothing moves any more are noticed, with one timer for all of them.

Mostly something moves: a request is answered long before its time is over. So nothing
is set or reset for a single one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Stall:
    """
    Notices when nothing moves in either direction any more.

    Calls `on_stall` once, when `touch` has not been called for `seconds`. `clock` is an
    `IReactorTime`.
    """

    def __init__(
        self, clock: IReactorTime, seconds: float, on_stall: Callable[[], object]
    ) -> None:
        self._now: Callable[[], float] = clock.seconds
        self._seconds = seconds
        self._touched = self._now()
        self.on_stall = on_stall
        self._sweep = _sweep_of(clock)
        self._sweep.add(self)

    @property
    def due(self) -> float:
        """When it stalls if nothing moves, in seconds of the clock."""
        return self._touched + self._seconds

    def touch(self) -> None:
        """Note that something moved."""
        self._touched = self._now()

    def stop(self) -> None:
        """Stop watching."""
        self._sweep.remove(self)


class _Sweep:
    """All that is watched on one clock, and the timer for what is due first."""

    def __init__(self, clock: IReactorTime) -> None:
        self._call_later: Callable[..., IDelayedCall] = clock.callLater
        self._now: Callable[[], float] = clock.seconds
        self._watched: dict[Stall, None] = {}
        self._timer: IDelayedCall | None = None
        self._at = 0.0

    def add(self, stall: Stall) -> None:
        """Watch one more."""
        self._watched[stall] = None
        if self._timer is None or stall.due < self._at:
            self._set(stall.due)

    def remove(self, stall: Stall) -> None:
        """Watch one less; without any there is no timer."""
        self._watched.pop(stall, None)
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = self._call_later(max(at - self._now(), 0), self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._now()
        stalled = [stall for stall in self._watched if stall.due <= now]
        for stall in stalled:
            # One may have been stopped by the one before.
            if stall in self._watched:
                del self._watched[stall]
                stall.on_stall()
        if self._watched and self._timer is None:
            self._set(min(stall.due for stall in self._watched))


_SWEEPS: WeakKeyDictionary[IReactorTime, _Sweep] = WeakKeyDictionary()


def _sweep_of(clock: IReactorTime) -> _Sweep:
    sweep = _SWEEPS.get(clock)
    if sweep is None:
        sweep = _SWEEPS[clock] = _Sweep(clock)
    return sweep
