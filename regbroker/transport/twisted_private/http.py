"""
Requests and channels of `twisted.web`, with names for what is private in them.

`HTTPChannel` has no public way to refuse a request in the form of an OCI document.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from twisted.web import http
from twisted.web.http import HTTPChannel
from twisted.web.server import Request

from regbroker.transport.reading import Reading

__all__ = [
    "ChannelInternals",
    "ChunkedDecoder",
    "MalformedChunks",
    "RequestInternals",
    "is_disconnected",
]

#: What a decoder of chunked bodies raises.
MalformedChunks: type[Exception] = http._MalformedChunkedDataError


def is_disconnected(request: http.Request) -> bool:
    """Tell whether the client of a request has closed its connection."""
    return bool(request._disconnected)


class RequestInternals(Request):
    """A request of `twisted.web`, with names for what is private in it."""

    # Twisted's `__init__` says it, which ours does not call.
    _parsePOSTFormSubmission = True

    @cached_property
    def _adapterCache(self) -> dict[Any, Any]:  # type: ignore[override]
        # Twisted makes one for each request, and this is used with sessions alone.
        return {}


class ChunkedDecoder(http._ChunkedTransferDecoder):
    """
    Twisted's decoder of a chunked body, which gives each trailer to a method.

    The data of a chunk may go past it.
    """

    @property
    def is_in_chunk(self) -> bool:
        """Whether the next `length` bytes are data of a chunk."""
        return self.state == "BODY" and not self._buffer

    @property
    def is_after_chunk(self) -> bool:
        """Whether the next bytes are those between two chunks, from the first on."""
        return self.state == "CRLF" and not self._buffer

    def set_left(self, size: int) -> None:
        """Note how many bytes are left of a chunk; with none, its end comes next."""
        self.length = size
        if not size:
            self.state = "CRLF"

    def trailer_received(self, line: bytes) -> None:
        """Take one line of the trailer section, without its end."""

    def _dataReceived_TRAILER(self) -> bool:
        more = super()._dataReceived_TRAILER()
        while self._trailerHeaders:
            self.trailer_received(bytes(self._trailerHeaders.pop()))
        return more


class ChannelInternals(HTTPChannel):
    """The server's side of one connection, with names for what is private in it."""

    #: What is to be used in place of the transport to pause it and to resume it.
    reading: Reading

    # Twisted's, without types there.
    _HTTPChannel__first_line: int

    def connectionMade(self) -> None:
        """Begin; the client is being read from."""
        super().connectionMade()
        self.reading = Reading(self._networkProducer)
        self._networkProducer = self.reading

    # What Twisted knows of the connection.

    @property
    def request_line(self) -> tuple[bytes, bytes, bytes] | None:
        """Method, target and version of the request being read; None before them."""
        if not hasattr(self, "_command"):
            return None
        return self._command, self._path, self._version

    @property
    def has_request_line(self) -> bool:
        """Whether the line that comes next is a header."""
        return hasattr(self, "_command")

    @property
    def are_headers_too_large(self) -> bool:
        """Whether request line and headers exceed a bound, in bytes or in number."""
        return (
            self._receivedHeaderSize > self.totalHeadersSize
            or self._receivedHeaderCount > self.maxHeaders
        )

    @property
    def is_handling_request(self) -> bool:
        """Whether a whole request is being answered: no other one is parsed."""
        return self._handlingRequest

    @property
    def is_between_requests(self) -> bool:
        """Whether the next bytes, if there are any, begin a request that is wanted."""
        return bool(
            self.line_mode
            and self._HTTPChannel__first_line == 1
            and not (self._buffer or self._busyReceiving or self.paused)
            and self.persistent
        )

    @property
    def waits_for_client(self) -> bool:
        """Whether the client has not read yet what was written to it."""
        return self._waitingForTransport

    # What can be done with it.

    def begin_whole(self, request: Any) -> None:
        """Have a request that is here whole be the one that is being answered."""
        self.requests.append(request)
        # The timer stays as it is: `timeoutConnection` sees that it does not count.
        self._savedTimeOut, self.timeOut = self.timeOut, None
        self._handlingRequest = True
        self.line_mode = 0

    def begin_with_body(
        self,
        request: Any,
        line: tuple[bytes, bytes, bytes],
        framing: tuple[bytes, bytes],
    ) -> bool:
        """
        Have a request be the one that is read, whose headers are here.

        `framing` is the header that says where its body ends. An empty line is to come
        next. Tells whether the framing is accepted; if not, it has been refused.
        """
        self.requests.append(request)
        self._command, self._path, self._version = line
        self._HTTPChannel__first_line = 0
        return self._maybeChooseTransferDecoder(*framing)

    def allHeadersReceived(self) -> None:
        """Begin a request; it looks at ``Expect`` itself, for which Twisted asks."""
        request = self.requests[-1]
        self.persistent = self.checkPersistence(request, self._version)
        request.gotLength(self.length)

    def end_request(self, request: Any, timeout: float) -> None:
        """
        Go on after a reply: the next request may take so many seconds.

        Mostly nothing of it is here yet. Then this is what Twisted does, in one step.
        """
        self._savedTimeOut = timeout
        if self._dataBuffer or self._waitingForTransport or not self.persistent:
            HTTPChannel.requestDone(self, request)
            return
        del self.requests[0]
        if self.reading.is_paused:
            self.reading.resumeProducing()
        self._handlingRequest = False
        self.setTimeout(timeout)
        self.line_mode = 1

    def timeoutConnection(self) -> None:
        """Close the connection, if there is a timeout now."""
        if self.timeOut is not None:
            super().timeoutConnection()

    def pause_transport(self) -> None:
        """Read nothing from the client until the channel resumes by itself."""
        self._networkProducer.pauseProducing()

    def unregister_from_transport(self) -> None:
        """Hear no more of whether the client reads."""
        self.reading.unregisterProducer()

    # What subclasses decide.

    def is_framing_accepted(self, name: bytes, value: bytes) -> bool:
        """Decide about ``Content-Length`` and ``Transfer-Encoding`` as they come."""
        return True

    def chunked_decoder(
        self, on_data: Callable[[bytes], None], on_end: Callable[[bytes], None]
    ) -> ChunkedDecoder:
        """Return the decoder of a chunked body."""
        return ChunkedDecoder(on_data, on_end)

    def refuse_malformed(self) -> None:
        """Answer what is no HTTP/1.1, and end the connection."""
        super()._respondToBadRequestAndDisconnect()

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        if header in (b"Content-Length", b"Transfer-Encoding") and (
            not self.is_framing_accepted(header, data)
        ):
            return self._failChooseTransferDecoder()
        accepted = bool(super()._maybeChooseTransferDecoder(header, data))
        if accepted and header == b"Transfer-Encoding":
            self._transferDecoder = self.chunked_decoder(
                self.requests[-1].handleContentChunk, self._finishRequestBody
            )
        return accepted

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse_malformed()
