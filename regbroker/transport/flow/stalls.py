"""
What waits while nothing moves any more is noticed, with one timer for all of it.

Mostly something moves: a request is answered long before its time is over. So nothing
is set or reset for a single one of them, and the timer stays when the last one ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Watched(Protocol):
    """What is told once, when nothing has moved until `due`."""

    @property
    def due(self) -> float:
        """The time at which it is told, unless something moves."""

    def stalled(self) -> object:
        """Take note; it is watched no more."""


class Stalls:
    """
    All that is watched for one upstream, and the timer for what is due first.

    A request has an answer within `seconds`, or something of its body moves.
    """

    def __init__(self, clock: IReactorTime, seconds: float = math.inf) -> None:
        self.clock = clock
        self.seconds = seconds
        #: The time, in seconds.
        self.now: Callable[[], float] = clock.seconds
        self._watched: dict[Watched, None] = {}
        self._timer: IDelayedCall | None = None
        #: When the timer is due.
        self._at = math.inf
        self._is_closed = False

    def close(self) -> None:
        """Leave no timer behind: not when the last one ends, and not now."""
        self._is_closed = True
        if not self._watched:
            self._unset()

    def add(self, watched: Watched, due: float) -> None:
        """Watch one more, which is `due` then at the earliest."""
        self._watched[watched] = None
        if due < self._at:
            self._set(due)

    def remove(self, watched: Watched) -> None:
        """Watch one less."""
        self._watched.pop(watched, None)
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
        stalled = [one for one in self._watched if one.due <= now]
        try:
            for one in stalled:
                # It may have been stopped by the one before.
                if one in self._watched:
                    del self._watched[one]
                    one.stalled()
        finally:
            # Whatever one of them has begun or raised, the others keep their time.
            due = min((one.due for one in self._watched), default=math.inf)
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
        self._seconds = seconds
        self._on_stall = on_stall
        self._stalls = stalls
        self.touch()
        stalls.add(self, self.due)

    def touch(self) -> None:
        """Note that something moved."""
        self.due = self._stalls.now() + self._seconds

    def stalled(self) -> None:
        """Tell that nothing does."""
        self._on_stall()

    def stop(self) -> None:
        """Stop watching."""
        self._stalls.remove(self)
