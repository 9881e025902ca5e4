"""
Slots: how much may be under way at once, and how much may wait for that.

What asks a server for many clients at once is bounded, and so is the queue before it:
an upstream that answers slowly costs what is waited for, not the whole process.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred

from regbroker.causes import Cause
from regbroker.errors import UpstreamUnavailable
from regbroker.protocol.retry_after import retry_after


class Slots:
    """
    `limit` places, and a queue of `max_waiting` before them.

    Whoever has a place frees it once. `what` names the server, in errors for people.
    """

    def __init__(self, limit: int, max_waiting: int, what: str) -> None:
        self._what = what
        self._free = limit
        self._max_waiting = max_waiting
        self._waiting: deque[Deferred[None]] = deque()
        self._is_letting_in = False

    def take(self) -> bool:
        """Take a place if there is one; tell whether there was."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def wait(self) -> Deferred[None]:
        """
        Wait for a place, and take it; a caller that is cancelled leaves the queue.

        Raises `UpstreamUnavailable` when the queue is full.
        """
        if len(self._waiting) >= self._max_waiting:
            raise UpstreamUnavailable(
                f"{self._what} is asked for more than it answers; come again later",
                headers=[retry_after(1)],
                cause=Cause.BOUND_REACHED,
            )
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def take_again(self) -> None:
        """Take a place at once, whatever the limit: the caller has lost its own."""
        self._free -= 1

    def free(self) -> None:
        """Give a place back, and let in who waits longest."""
        self._free += 1
        if self._waiting and not self._is_letting_in:
            self._let_in()

    def _let_in(self) -> None:
        # Who is let in may fail at once, and give the place back: to let in the next
        # one from there would go a dozen frames deeper for each who waits.
        self._is_letting_in = True
        try:
            while self._waiting and self._free > 0:
                self._free -= 1
                self._waiting.popleft().callback(None)
        finally:
            self._is_letting_in = False
