"""Watches a request's body as it arrives, and ends a body that comes too slowly."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from regbroker.causes import Cause
from regbroker.errors import BodyTooSlow
from regbroker.transport.server.pace import Pace, Patience


class BodyWatch:
    """
    The time that one body has: `pace` says how much.

    `clock` is the reactor. `give_up` is called once, with the error, when the body is
    too slow. The time does not run before `resume`.
    """

    def __init__(
        self, clock: IReactorTime, pace: Pace, give_up: Callable[[BodyTooSlow], None]
    ) -> None:
        self._clock = clock
        self._pace = pace
        self._give_up = give_up
        self._patience = Patience(pace, clock.seconds())
        # One timer, set again when it fires: moving it on each chunk is dear.
        self._timer: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None

    def received(self, size: int) -> None:
        """Note that so many bytes came."""
        self._patience.received(size, self._clock.seconds())

    def pause(self) -> None:
        """Note that the client is not read from: its time stands still."""
        self._patience.pause(self._clock.seconds())

    def resume(self) -> None:
        """Note that the client is read from, or asked for its body."""
        self._patience.resume(self._clock.seconds())
        if self._timer is None:
            self._check()

    def read_whole(self) -> None:
        """Give the body, from now on, the time of one that is read whole."""
        if self._deadline is None:
            self._deadline = self._clock.callLater(self._pace.whole, self._too_late)

    def stop(self) -> None:
        """Stop watching: the body is complete, or the rest is not wanted."""
        self._patience.pause(self._clock.seconds())
        for timer in (self._timer, self._deadline):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._deadline = None

    def _check(self) -> None:
        self._timer = None
        if not self._patience.is_running:
            return
        now = self._clock.seconds()
        left = self._patience.left(now)
        # Sums of many small floats may stay a little above nothing.
        if left > 1e-6:
            self._timer = self._clock.callLater(left, self._check)
        elif self._patience.is_silent(now + 1e-6):
            self._end(
                f"the client sent nothing of its body for {self._pace.silence:g} s",
                Cause.CLIENT_IDLE,
            )
        else:
            self._end(
                "the client sends its body more slowly than "
                f"{self._pace.rate:g} bytes per second"
            )

    def _too_late(self) -> None:
        self._end(f"the client's body was not complete after {self._pace.whole:g} s")

    def _end(self, message: str, cause: Cause = Cause.CLIENT_SLOW) -> None:
        self.stop()
        self._give_up(BodyTooSlow(message, cause))
