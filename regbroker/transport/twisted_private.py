"""
What regbroker uses of Twisted though it is private there.

This is the only module that touches private modules and names of Twisted. Here they
get public names, so that the rest of regbroker does not depend on how Twisted calls
them. Any release of Twisted may change them: setup.cfg has the upper bound, and
`tests/transport/test_twisted_private.py` shows for each name what regbroker relies on.
`tests/test_private_names.py` fails where another module uses such a name.

`HTTPChannel` has no public way to refuse a request in the form of an OCI document.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import cached_property
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.tcp import Port as TCPPort
from twisted.internet.unix import Port as UnixPort
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http import HTTPChannel
from twisted.web.server import Request

from regbroker.transport.reading import Reading

__all__ = [
    "ChannelInternals",
    "ChunkedDecoder",
    "MalformedChunks",
    "RequestInternals",
    "adopt_port",
    "end_in_order",
    "is_disconnected",
    "keep_for_others",
    "may_write_now",
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


def keep_for_others(port: Any) -> None:
    """
    Have a listening port closed without `shutdown`.

    That would end the socket for the other processes that accept from it, too.
    """
    port._shouldShutdown = False


def may_write_now(transport: Any) -> bool:
    """
    Tell whether its socket may be written to past a connection's transport.

    Nothing waits there to be written before, and nobody has closed the connection.
    """
    return bool(transport.connected) and not (
        transport.dataBuffer
        or transport._tempDataLen
        or transport.disconnecting
        or transport._aborting
    )


def end_in_order(transport: Any) -> None:
    """
    Close the socket of a transport that is to be aborted, and do not reset it.

    What the socket has taken is sent, and then the end of the stream. Nothing else is
    written, and `abortConnection` does nothing more.
    """
    if not (transport.disconnected or transport._aborting):
        transport._aborting = True
        transport.stopReading()
        transport.stopWriting()
        transport.doRead = transport.doWrite = _nothing
        ended = Failure(ConnectionDone())
        transport.reactor.callLater(0, transport.connectionLost, ended)


def _nothing() -> None:
    """Stand for a method of a connection that has gone."""


class _OneByOne:
    """
    A port that accepts one connection each time that the reactor finds some.

    Twisted's accept all that wait. Where several processes accept from one socket, the
    first that looks would have all of them.
    """

    @property
    def numberAccepts(self) -> int:
        """How many connections are accepted at once."""
        return 1

    @numberAccepts.setter
    def numberAccepts(self, number: int) -> None:
        """Do nothing: Twisted would accept as many next time as came this time."""


class _SharedTCPPort(_OneByOne, TCPPort):
    """Accepts from a socket that other processes accept from."""


class _SharedUnixPort(_OneByOne, UnixPort):
    """The same on a Unix socket."""


class _Listening(socket.socket):
    """
    A socket that listens already, with the backlog that its opener has asked for.

    Twisted's port of a Unix socket would ask for another one, for all processes.
    """

    def listen(self, backlog: int = 0, /) -> None:
        """Do nothing."""


def adopt_port(
    reactor: Any, opened: socket.socket, factory: IProtocolFactory
) -> IListeningPort:
    """
    Return a port on a listening socket that another process has opened.

    It has a descriptor of its own. The file of a Unix socket is the other process's
    affair: its mode stays, and it is not removed with the port, as `adoptStreamPort`
    would do.
    """
    port: Any
    if opened.family == socket.AF_UNIX:
        port = _SharedUnixPort(b"\0adopted", factory, reactor=reactor)
        port._preexistingSocket = _Listening(fileno=os.dup(opened.fileno()))
        port._shouldShutdown = False
    else:
        port = _SharedTCPPort._fromListeningDescriptor(
            reactor, opened.fileno(), opened.family, factory
        )
    port.startListening()
    adopted: IListeningPort = port
    return adopted
