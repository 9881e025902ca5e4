"""
A reply that a server has sent to us: its head is here, its body too, or still to come.

And what is no reply.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from regbroker.causes import Cause, Kind, cause_of
from regbroker.protocol.challenges import Challenge, parse_challenges
from regbroker.protocol.header_list import ReceivedHeaders
from regbroker.protocol.headers import Header
from regbroker.transport.client.arriving_body import ArrivingBody, BodyReceiver


class MalformedReply(Exception):
    """What came is not HTTP."""


class NoReply(MalformedReply):
    """What came does not even begin as a reply does."""


class ReplyTooLarge(Exception):
    """A part of a reply exceeds its bound; says which one."""


@implementer(IPushProducer)
class Reply:
    """
    A server's reply whose headers are in; a push producer of its body.

    `what` is the server that sends it, for people. `headers` are as they came,
    `connection_options` what their ``Connection`` names, in lower case. `length` is the
    body's in bytes, None where only its end tells. `body` are its bytes, where all of
    them came with the head or have been read; else they are still to come.
    """

    def __init__(
        self,
        what: str,
        status: int,
        headers: ReceivedHeaders,
        connection_options: frozenset[bytes],
        length: int | None,
        body: bytes | ArrivingBody = b"",
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
        changed.body = body
        return changed

    def take(self) -> bytes | None:
        """Return the whole body if it has come, and nobody takes it yet; else None."""
        body = self.body
        return body if isinstance(body, bytes) else body.take()

    def deliver(self, receiver: BodyReceiver) -> None:
        """Give the body to a receiver, from its beginning."""
        body = self.body
        if not isinstance(body, bytes):
            body.deliver(receiver)
            return
        if body:
            receiver.body_received(body)
        receiver.body_ended()

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
        if isinstance(self.body, ArrivingBody):
            self.body.abort()

    def pauseProducing(self) -> None:
        """Let the receiver have no more for now."""
        if isinstance(self.body, ArrivingBody):
            self.body.pause()

    def resumeProducing(self) -> None:
        """Let the receiver have more."""
        if isinstance(self.body, ArrivingBody):
            self.body.resume()

    def stopProducing(self) -> None:
        """Close the connection: nobody wants the rest."""
        self.abort()
