"""
The log of requests that are no HTTP: the client, and what was wrong.

No resource ever sees such a request, so it has its event here. A client that sends
garbage can send much of it. So the log has a few lines a minute for one address, some
more for all together, and a count of the requests that were left out.
"""

from __future__ import annotations

import math

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from regbroker.causes import Cause
from regbroker.events import Event, emit
from regbroker.protocol.addresses import as_ipv4

#: What an event's outcome begins with. Filters such as fail2ban's look for it.
OUTCOME = "malformed: "

#: How long the bounds below count, and what was left out is gathered.
WINDOW_SECONDS = 60.0

#: Enough for a filter that bans an address after a few.
MAX_LINES_OF_A_CLIENT = 10

#: A botnet shall not fill the disk.
MAX_LINES = 100

_log = Logger()


class MalformedRequests:
    """
    Tells of malformed requests, within bounds.

    `clock` is an `IReactorTime`.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._began = -math.inf
        #: Lines in this window by client, for those that have one.
        self._lines: dict[str, int] = {}
        self._left_out = 0
        self._timer: IDelayedCall | None = None
        #: All malformed requests, with a log line or without.
        self.count = 0

    def tell(
        self,
        client: str,
        reason: str,
        status: int = 0,
        method: str = "",
        path: str = "",
    ) -> None:
        """
        Tell of one request, or of the bytes that took its place.

        `client` is the connection's peer; `reason` is our own sentence. `status` is
        what was answered, 0 for nothing; `method` and `path` are given as far as
        they are known.
        """
        self.count += 1
        self._begin_window()
        client = as_ipv4(client)
        lines = self._lines.get(client, 0)
        if lines >= MAX_LINES_OF_A_CLIENT or sum(self._lines.values()) >= MAX_LINES:
            self._leave_out()
            return
        self._lines[client] = lines + 1
        event = Event(self._clock.seconds, client=client, method=method, path=path)
        event.status = status
        event.ended(Cause.CLIENT_MALFORMED, OUTCOME + reason)
        emit(event)

    def stop(self) -> None:
        """Log the count of what was left out so far, and stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._tell_left_out()

    def _begin_window(self) -> None:
        now: float = self._clock.seconds()
        if now - self._began >= WINDOW_SECONDS:
            self._began = now
            self._lines.clear()

    def _leave_out(self) -> None:
        self._left_out += 1
        if self._timer is None:
            self._timer = self._clock.callLater(WINDOW_SECONDS, self._tell_left_out)

    def _tell_left_out(self) -> None:
        self._timer = None
        left_out, self._left_out = self._left_out, 0
        _log.warn(
            "{left_out} more malformed requests in the last minute have no line of "
            "their own; at most {of_a_client} of one address and {in_all} in all have",
            left_out=left_out,
            of_a_client=MAX_LINES_OF_A_CLIENT,
            in_all=MAX_LINES,
        )
