"""
How slowly a client may send a body.

A streaming body has an amount of patience, in seconds. Time that passes uses it up,
each byte that comes gives a little back, and there is never more of it than at the
beginning. So a short pause does no harm, a body that drips ends, and a fast beginning
does not make up for a slow rest. While the client is not read from, because the
upstream takes nothing, the time does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

#: What nginx and Apache wait for, too.
DEFAULT_CLIENT_TIMEOUT = 60.0

#: A form or manifest is small: 64 KiB over a modem take 20 s.
DEFAULT_BODY_TIMEOUT = 30.0

#: The patience at the beginning, as a multiple of the silence that is allowed: a
#: client may fall silent once, and go on.
GRACE = 2

#: Bytes per second. Apache's mod_reqtimeout has 500; GSM's first data service had
#: 1200.
DEFAULT_MIN_UPLOAD_RATE = 500.0


@dataclass(frozen=True)
class Pace:
    """
    What is asked of clients that send.

    `silence` is how long one may send nothing in the middle of a request, and how
    long a connection may be idle; `whole` how long a body may take that is read
    whole; both in seconds. `rate` is in bytes per second; 0 asks for none.
    """

    silence: float = DEFAULT_CLIENT_TIMEOUT
    whole: float = DEFAULT_BODY_TIMEOUT
    rate: float = DEFAULT_MIN_UPLOAD_RATE

    @property
    def grace(self) -> float:
        """The seconds of patience that a body has at most."""
        return self.silence * GRACE


class Patience:
    """
    What is left of the time that a streaming body has.

    `now`, in seconds, is when it begins. It does not run until `resume`.
    """

    def __init__(self, pace: Pace, now: float) -> None:
        self._pace = pace
        self._left = pace.grace
        self._silent = 0.0
        self._since = now
        self.is_running = False

    def received(self, size: int, now: float) -> None:
        """Note that so many bytes came."""
        self._pass(now)
        self._silent = 0.0
        if self._pace.rate > 0:
            seconds = size / self._pace.rate
            self._left = min(self._left + seconds, self._pace.grace)

    def pause(self, now: float) -> None:
        """Note that the client is not read from."""
        self._pass(now)
        self.is_running = False

    def resume(self, now: float) -> None:
        """Note that the client is read from again; its silence begins anew."""
        if not self.is_running:
            self._silent = 0.0
            self._since = now
            self.is_running = True

    def left(self, now: float) -> float:
        """Return the seconds until the patience ends, if nothing comes."""
        self._pass(now)
        silence = self._pace.silence - self._silent
        return min(silence, self._left) if self._pace.rate > 0 else silence

    def is_silent(self, now: float) -> bool:
        """Tell whether the patience has ended because nothing came at all."""
        self._pass(now)
        return self._silent >= self._pace.silence

    def _pass(self, now: float) -> None:
        if self.is_running:
            self._left -= now - self._since
            self._silent += now - self._since
        self._since = now
