"""A reply that a server has sent to us: its head is here, its body is still to come."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from regbroker.causes import Cause, Kind, cause_of
from regbroker.protocol.challenges import Challenge, parse_challenges
from regbroker.protocol.header_list import ReceivedHeaders
from regbroker.protocol.headers import Header
from regbroker.transport.client.arriving_body import ArrivingBody, BodyReceiver
from regbroker.transport.client.reply_parser import MalformedReply, ReplyTooLarge


class Reply:
    """
    An upstream's reply whose headers are in; the body is still to come.

    `what` is the server that sends it, for people. `headers` are as they came,
    `connection_options` what their ``Connection`` names, in lower case. `length` is the
    body's in bytes, None where only its end tells.
    """

    def __init__(
        self,
        what: str,
        status: int,
        headers: ReceivedHeaders,
        connection_options: frozenset[bytes],
        length: int | None,
        body: ArrivingBody,
    ) -> None:
        self.what = what
        self.status = status
        self.headers = headers
        self.connection_options = connection_options
        self.length = length
        self.body = body

    def with_headers(self, headers: Iterable[Header]) -> Reply:
        """Return the same reply under other headers, all of them end to end."""
        changed = copy(self)
        changed.headers = ReceivedHeaders(headers)
        changed.connection_options = frozenset()
        return changed

    def with_body(self, body: bytes) -> Reply:
        """Return the same reply, whose body has been read, to be read again."""
        changed = copy(self)
        changed.body = ArrivingBody(None, body)
        return changed

    def deliver(self, receiver: BodyReceiver) -> None:
        """Give the body to a receiver, from its beginning."""
        self.body.deliver(receiver)

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, or None."""
        return self.headers.first(name.lower())

    @property
    def challenges(self) -> tuple[Challenge, ...]:
        """The challenges of its ``WWW-Authenticate`` headers."""
        values = self.headers.all(b"www-authenticate")
        return parse_challenges(value.decode("latin-1") for value in values)

    def why_broken(self, error: Exception) -> tuple[Cause, str]:
        """Return the cause of an end before its time, and what to add for people."""
        if isinstance(error, ReplyTooLarge):
            return Cause.BOUND_REACHED, f": it sent {error}"
        if isinstance(error, MalformedReply):
            return cause_of(self.what, Kind.MALFORMED), ": what it sent is not HTTP"
        return cause_of(self.what, Kind.BROKE_OFF), ""

    def abort(self) -> None:
        """Close the connection at once; the rest of the body is not wanted."""
        self.body.abort()
