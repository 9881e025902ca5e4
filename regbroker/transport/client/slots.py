"""
Slots: how much may be under way at once, and how much may wait for that.

What asks a server for many clients at once is bounded, and so is the queue before it:
an upstream that answers slowly costs what is waited for, not the whole process.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred, succeed

from regbroker.causes import Cause
from regbroker.errors import UpstreamUnavailable
from regbroker.protocol.retry_after import retry_after


class Slot:
    """A place that is taken until `free` is called; a second call has no effect."""

    def __init__(self, slots: Slots) -> None:
        self._slots: Slots | None = slots

    def free(self) -> None:
        """Let the next one in."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots._free += 1
            if slots._waiting:
                slots._let_in()


class Slots:
    """
    `limit` places, and a queue of `max_waiting` before them.

    `what` names the server, in errors for people.
    """

    def __init__(self, limit: int, max_waiting: int, what: str) -> None:
        self._what = what
        self._free = limit
        self._max_waiting = max_waiting
        self._waiting: deque[Deferred[Slot]] = deque()

    def take(self) -> Deferred[Slot]:
        """
        Return a place when there is one; a caller that is cancelled leaves the queue.

        Raises `UpstreamUnavailable` when the queue is full.
        """
        slot = self.take_now()
        if slot is not None:
            return succeed(slot)
        if len(self._waiting) >= self._max_waiting:
            raise UpstreamUnavailable(
                f"{self._what} is asked for more than it answers; come again later",
                headers=[retry_after(1)],
                cause=Cause.BOUND_REACHED,
            )
        waiting: Deferred[Slot] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def take_now(self) -> Slot | None:
        """Return a place if there is one."""
        if self._free <= 0:
            return None
        self._free -= 1
        return Slot(self)

    def again(self) -> Slot:
        """Return a place at once, whatever the limit, to a caller that lost its own."""
        self._free -= 1
        return Slot(self)

    def _let_in(self) -> None:
        if self._free > 0:
            self._free -= 1
            self._waiting.popleft().callback(Slot(self))
