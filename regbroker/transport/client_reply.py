"""A reply that a server has sent to us: its head is here, its body is still to come."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import IResponse

from regbroker.causes import Cause, Kind, cause_of
from regbroker.protocol.challenges import Challenge, parse_challenges
from regbroker.protocol.header_list import HeaderList
from regbroker.protocol.headers import Header, connection_options, raw_headers
from regbroker.transport.client_protocol import UpstreamProtocol
from regbroker.transport.twisted_private import (
    HTTPClientParser,
    MalformedChunks,
    wrapped_errors,
)


class Reply:
    """An upstream's reply whose headers are in; the body is still to come."""

    def __init__(
        self,
        response: IResponse,
        connection: UpstreamProtocol,
        parser: HTTPClientParser,
        what: str,
    ) -> None:
        #: The server that sends it, for people.
        self.what = what
        self.status: int = response.code
        #: As they came; those about the connection are not among them.
        self.headers = HeaderList(raw_headers(response.headers))
        options = parser.connHeaders.getRawHeaders(b"Connection", ())
        #: What its ``Connection`` header names.
        self.connection_options = connection_options(options)
        #: The body's length in bytes, or `twisted.web.iweb.UNKNOWN_LENGTH`.
        self.length = response.length
        self._response: IResponse | _ReadResponse = response
        self._connection = connection
        self._parser = parser

    def with_headers(self, headers: Iterable[Header]) -> Reply:
        """Return the same reply under other headers, all of them end to end."""
        changed = copy(self)
        changed.headers = HeaderList(headers)
        changed.connection_options = frozenset()
        return changed

    def with_body(self, body: bytes) -> Reply:
        """Return the same reply, whose body has been read, to be read again."""
        changed = copy(self)
        changed._response = _ReadResponse(body)
        return changed

    def deliver(self, protocol: IProtocol) -> None:
        """Send the body to a protocol, as `IResponse.deliverBody` does."""
        self._response.deliverBody(protocol)

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, or None."""
        return self.headers.first(name.lower())

    @property
    def challenges(self) -> tuple[Challenge, ...]:
        """The challenges of its ``WWW-Authenticate`` headers."""
        values = self.headers.all(b"www-authenticate")
        return parse_challenges(value.decode("latin-1") for value in values)

    @property
    def closed_in_order(self) -> bool:
        """Whether the connection, now gone, was closed as it should be."""
        return self._connection.closed_in_order

    def why_broken(self, reason: Failure) -> tuple[Cause, str]:
        """Return the cause of an end before its time, and what to add for people."""
        if self._connection.too_large:
            return Cause.BOUND_REACHED, f": it sent {self._connection.too_large}"
        assert reason.value is not None
        reasons = wrapped_errors(reason.value)
        if any(isinstance(each, MalformedChunks) for each in reasons):
            return cause_of(self.what, Kind.MALFORMED), ": what it sent is not HTTP"
        return cause_of(self.what, Kind.BROKE_OFF), ""

    def abort(self) -> None:
        """Close the connection at once; the rest of the body is not wanted."""
        # A connection whose reply is complete may be another request's by now.
        if self._connection.parser is self._parser:
            self._connection.transport.abortConnection()


class _ReadResponse:
    """Delivers a body that has been read already."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def deliverBody(self, protocol: IProtocol) -> None:
        if self._body:
            protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))
