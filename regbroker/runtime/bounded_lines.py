"""
Lines of the log that strangers cause: some for each of them, some more in all.

Whoever reaches a port can make such lines without end. So the log has a few of one
client in a minute, some more of all together, and a count of what was left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: How long the bounds below count, and what was left out is gathered.
WINDOW_SECONDS = 60.0

#: Enough for a filter that bans an address after a few.
MAX_LINES_OF_A_CLIENT = 10

#: A botnet shall not fill the disk.
MAX_LINES = 100


class BoundedLines:
    """
    Says who may have one more line.

    `clock` is an `IReactorTime`. `tell_left_out` writes how many lines were left out,
    within `WINDOW_SECONDS` after the first of them.
    """

    def __init__(
        self, clock: IReactorTime, tell_left_out: Callable[[int], None]
    ) -> None:
        self._clock = clock
        self._tell_left_out = tell_left_out
        self._began = -math.inf
        #: Lines in this window by client, for those that have one.
        self._lines: dict[str, int] = {}
        self._left_out = 0
        self._timer: IDelayedCall | None = None

    def has_room(self, client: str) -> bool:
        """Count a line of this client; return False where it is to be left out."""
        self._begin_window()
        lines = self._lines.get(client, 0)
        if lines >= MAX_LINES_OF_A_CLIENT or sum(self._lines.values()) >= MAX_LINES:
            self._leave_out()
            return False
        self._lines[client] = lines + 1
        return True

    def stop(self) -> None:
        """Tell what was left out so far, and stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._tell()

    def _begin_window(self) -> None:
        now: float = self._clock.seconds()
        if now - self._began >= WINDOW_SECONDS:
            self._began = now
            self._lines.clear()

    def _leave_out(self) -> None:
        self._left_out += 1
        if self._timer is None:
            self._timer = self._clock.callLater(WINDOW_SECONDS, self._tell)

    def _tell(self) -> None:
        self._timer = None
        left_out, self._left_out = self._left_out, 0
        self._tell_left_out(left_out)
