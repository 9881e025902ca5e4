"""
The timeout of a connection, with one timer that is not moved for each request.

`twisted.protocols.policies.TimeoutMixin` cancels its timer and makes another one each
time that the timeout is set. Here the time is noted, and the timer looks at it when it
fires: a busy connection has one timer a minute.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

#: Sums of floats may stay a little above nothing.
_ROUNDING = 1e-6


class IdleTimer:
    """
    Calls `on_timeout` when nothing was noted for a time.

    `now` returns seconds; `call_later` is the reactor's.
    """

    def __init__(
        self,
        now: Callable[[], float],
        call_later: Callable[..., IDelayedCall],
        on_timeout: Callable[[], object],
    ) -> None:
        self._now = now
        self._call_later = call_later
        self._on_timeout = on_timeout
        self._since = 0.0
        self._period: float | None = None
        self._timer: IDelayedCall | None = None
        #: What was noted last when the time was over for the first time.
        self._last_look: float | None = None
        #: When the timer looks; asked for with each reply.
        self._due = 0.0

    def touch(self) -> None:
        """Begin to wait anew."""
        self._since = self._now()

    def wait(self, period: float | None) -> None:
        """Wait for so many seconds from now on; None is for as long as it takes."""
        self._period = period
        if period is None:
            return
        self._since = now = self._now()
        if self._timer is None:
            self._look_in(period)
        elif self._due > now + period:
            self._due = now + period
            self._timer.reset(period)

    def stop(self) -> None:
        """Wait no more."""
        self._period = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_in(self, seconds: float) -> None:
        self._due = self._now() + seconds
        self._timer = self._call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._period is None:
            return
        left = self._since + self._period - self._now()
        if left > _ROUNDING:
            self._look_in(left)
        elif self._last_look != self._since:
            # Timers come before reads in a turn of the reactor, and the turn before
            # may have been a long one: what is here already is read first.
            self._last_look = self._since
            self._look_in(0.0)
        else:
            self._on_timeout()
