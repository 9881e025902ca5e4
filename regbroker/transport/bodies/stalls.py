"""
Transfers in which nothing moves any more are noticed, with one timer for all of them.

Mostly something moves: a request is answered long before its time is over. So nothing
is set or reset for a single one of them, and the timer stays when the last one ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Stalls:
    """All that is watched for one upstream, and the timer for what is due first."""

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        #: The time, in seconds.
        self.now: Callable[[], float] = clock.seconds
        self._watched: dict[Stall, None] = {}
        self._timer: IDelayedCall | None = None
        #: When the timer is due.
        self._at = math.inf
        self._is_closed = False

    def close(self) -> None:
        """Leave no timer behind: not when the last one ends, and not now."""
        self._is_closed = True
        if not self._watched:
            self._unset()

    def add(self, stall: Stall) -> None:
        """Watch one more."""
        self._watched[stall] = None
        due = stall.touched + stall.seconds
        if due < self._at:
            self._set(due)

    def remove(self, stall: Stall) -> None:
        """Watch one less."""
        self._watched.pop(stall, None)
        if self._is_closed and not self._watched:
            self._unset()

    def _set(self, at: float) -> None:
        self._unset()
        self._at = at
        delay = max(at - self.now(), 0)
        self._timer = self.clock.callLater(delay, self._look)

    def _unset(self) -> None:
        timer, self._timer, self._at = self._timer, None, math.inf
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        self._timer, self._at = None, math.inf
        now = self.now()
        stalled = [one for one in self._watched if one.touched + one.seconds <= now]
        try:
            for stall in stalled:
                # One may have been stopped by the one before.
                if stall in self._watched:
                    del self._watched[stall]
                    stall.on_stall()
        finally:
            # Whatever one of them has begun or raised, the others keep their time.
            dues = (one.touched + one.seconds for one in self._watched)
            due = min(dues, default=math.inf)
            if due < self._at:
                self._set(due)


class Stall:
    """
    Notices when nothing moves in either direction any more.

    Calls `on_stall` once, when `touch` has not been called for `seconds`.
    """

    def __init__(
        self, stalls: Stalls, seconds: float, on_stall: Callable[[], object]
    ) -> None:
        self.seconds = seconds
        self.on_stall = on_stall
        #: When something has moved last.
        self.touched = stalls.now()
        self._stalls = stalls
        stalls.add(self)

    def touch(self) -> None:
        """Note that something moved."""
        self.touched = self._stalls.now()

    def stop(self) -> None:
        """Stop watching."""
        self._stalls.remove(self)
