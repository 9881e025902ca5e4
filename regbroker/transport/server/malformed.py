"""
The log of requests that are no HTTP: the client, and what was wrong.

No resource ever sees such a request, so it has its event here. A client that sends
garbage can send much of it, so `regbroker.runtime.bounded_lines` says how many lines
it has.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regbroker.causes import Cause
from regbroker.events import Event, emit
from regbroker.protocol.addresses import as_ipv4
from regbroker.runtime.bounded_lines import (
    MAX_LINES,
    MAX_LINES_OF_A_CLIENT,
    BoundedLines,
)

#: What an event's outcome begins with. Filters such as fail2ban's look for it.
OUTCOME = "malformed: "

_log = Logger()


class MalformedRequests:
    """
    Tells of malformed requests, within bounds.

    `clock` is an `IReactorTime`.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._lines = BoundedLines(clock, _tell_left_out)
        #: All malformed requests, with a log line or without.
        self.count = 0

    def tell(
        self,
        client: str,
        reason: str,
        status: int = 0,
        method: str = "",
        path: str = "",
        tls: str = "",
    ) -> None:
        """
        Tell of one request, or of the bytes that took its place.

        `client` is the connection's peer; `reason` is our own sentence. `status` is
        what was answered, 0 for nothing; `method`, `path` and the version of
        TLS are given as far as they are known.
        """
        self.count += 1
        client = as_ipv4(client)
        if not self._lines.has_room(client):
            return
        event = Event(self._clock.seconds, client=client, method=method, path=path)
        event.status, event.tls = status, tls
        event.ended(Cause.CLIENT_MALFORMED, OUTCOME + reason)
        emit(event)

    def stop(self) -> None:
        """Log the count of what was left out so far, and stop the timer."""
        self._lines.stop()


def _tell_left_out(left_out: int) -> None:
    _log.warn(
        "{left_out} more malformed requests in the last minute have no line of "
        "their own; at most {of_a_client} of one address and {in_all} in all have",
        left_out=left_out,
        of_a_client=MAX_LINES_OF_A_CLIENT,
        in_all=MAX_LINES,
    )
