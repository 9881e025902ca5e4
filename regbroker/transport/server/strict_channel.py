"""
The parsing side of one connection: what is no HTTP/1.1 is refused, logged and ended.

Facts that shape this module (RFC 9112):

- What two parsers may read in two ways is refused, and so is whatever comes after it
  on that connection (11.1, 11.2).
- A folded header may be refused or unfolded (5.2). A parser that does not know folding
  sees another header in it.
- Transfer-Encoding in a request of HTTP/1.0 means faulty framing (6.1).

The reply is an OCI document like any other, and the end of the stream goes out with it
(`regbroker.transport.server.lingering`). No resource sees such a request, so
`regbroker.transport.server.malformed` tells of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.python.failure import Failure

from regbroker.errors import BadRequest, HeadersTooLarge, HTTPError
from regbroker.protocol.fields import (
    is_sound,
    problem_with_repeated,
    repeated_singleton,
    shown,
)
from regbroker.protocol.header_list import ReceivedHeaders
from regbroker.protocol.headers import peer_name, raw_headers
from regbroker.transport.server.chunks import StrictChunks
from regbroker.transport.server.idle_timer import IdleTimer
from regbroker.transport.server.lingering import LINGER_SECONDS, LingeringClose
from regbroker.transport.server.malformed import MalformedRequests
from regbroker.transport.server.pace import Pace
from regbroker.transport.server.reply_heads import reason_phrase
from regbroker.transport.server.request_bodies import NO_BODY
from regbroker.transport.server.whole_heads import Head, WholeHeads
from regbroker.transport.tls.negotiated import tls_version
from regbroker.transport.twisted_private.http import ChannelInternals

#: Request line and headers together. Cloud registries issue bearer tokens of
#: 16 KiB, and a token request may name dozens of scopes in its query.
MAX_HEADERS_BYTES = 64 * 1024

#: Headers of one request; browsers and registry clients send fewer than 30.
MAX_HEADERS = 100

#: More would be a body beyond 2**63 bytes.
MAX_LENGTH_DIGITS = 18


class Site(Protocol):
    """What a channel asks of its factory."""

    heads: WholeHeads
    malformed: MalformedRequests
    pace: Pace
    reactor: IReactorTime


class StrictChannel(ChannelInternals):
    """
    Twisted's channel with bounds that fit registries, and refusals as OCI JSON.

    Its factory has `malformed`, a
    `regbroker.transport.server.malformed.MalformedRequests`.
    """

    MAX_LENGTH = MAX_HEADERS_BYTES
    totalHeadersSize = MAX_HEADERS_BYTES
    maxHeaders = MAX_HEADERS

    requests: list[Any]
    factory: Site
    transport: ITCPTransport
    linger_seconds = LINGER_SECONDS
    callLater: Callable[..., IDelayedCall]
    timeOut: float | None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self._refused = False
        self._closing: LingeringClose | None = None
        #: Whether nothing has come yet that anybody has looked at.
        self.is_new = True
        self._idle: IdleTimer | None = None
        #: The beginning of a head whose rest is on its way.
        self._part = b""
        #: What will be wrong if Twisted, which does not say it, refuses the next bytes.
        self._wrong = ""

    # The time that a client has; in the place of Twisted's own.

    def setTimeout(self, period: float | None) -> float | None:
        """Let the client be idle for so many seconds from now on; return it before."""
        before, self.timeOut = self.timeOut, period
        if self._idle is None:
            now = self.factory.reactor.seconds
            self._idle = IdleTimer(now, self.callLater, self.timeoutConnection)
        self._idle.wait(period)
        return before

    def resetTimeout(self) -> None:
        """Note that the client is not idle."""
        if self._idle is not None:
            self._idle.touch()

    # The end.

    def loseConnection(self) -> None:
        """Send the end of the stream after what is written; close a little later."""
        if self._closing is None and self.transport is not None:
            self.setTimeout(None)
            self.unregister_from_transport()
            self._closing = LingeringClose(
                self.transport, self.callLater, self.linger_seconds
            )

    def hang_up(self, reason: str) -> None:
        """Break the connection without an answer, and tell the operator why."""
        self._tell(reason)
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Parse, or throw away what comes after the end."""
        if self._closing is not None:
            self._closing.received(len(data))
            return
        if self.is_between_requests:
            heads, part = self.factory.heads, self._part
            if part:
                data, self._part = part + data, b""
            head = heads.read(data)
            if head is not None:
                self.receive_whole(head)
                return
            if heads.is_part(data):
                self._part = data
                if not part:
                    # All of it has the time of one silence.
                    self.resetTimeout()
                return
        if not self.hangs_up_on(data):
            super().dataReceived(data)

    def receive_whole(self, head: Head) -> None:
        """Begin a request whose headers make sense together."""
        self.is_new = False
        request: Any = self.requestFactory(self)
        method, target, request.headers, framing, rest = head
        if framing is not None:
            if self.begin_with_body(request, (method, target, b"HTTP/1.1"), framing):
                super().dataReceived(b"\r\n" + rest)
            return
        request.body = NO_BODY
        self.persistent = self.checkPersistence(request, b"HTTP/1.1")
        self.begin_whole(request)
        request.start(method, target, b"HTTP/1.1")

    def hangs_up_on(self, data: bytes) -> bool:
        """Decide whether these bytes end the connection before they are parsed."""
        return False

    def rawDataReceived(self, data: bytes) -> None:
        """Take a part of a body; what follows the end in the same bytes is lost."""
        if self._closing is not None:
            self._closing.received(len(data))
            return
        self._wrong = "its body is not in the chunks of HTTP/1.1"
        super().rawDataReceived(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Forget the timers."""
        if self._closing is not None:
            self._closing.stop()
        super().connectionLost(reason)
        if self._idle is not None:
            self._idle.stop()

    # What is parsed.

    def lineReceived(self, line: bytes) -> None:
        """Take the request line or a header; one that is folded is refused."""
        if self._closing is not None:
            return
        if not self.has_request_line:
            self._wrong = "the request line is not 'METHOD TARGET HTTP/1.1'"
        elif line[:1] in (b" ", b"\t"):
            self._wrong = "a header is folded into several lines"
            self.refuse_malformed()
            return
        elif not is_sound(line):
            name = shown(line.partition(b":")[0])
            self._wrong = f"the header {name} has a control character"
            self.refuse_malformed()
            return
        else:
            self._wrong = "a header is not 'NAME: VALUE'"
        super().lineReceived(line)

    def is_framing_accepted(self, name: bytes, value: bytes) -> bool:
        """Decide whether this header may say where the body ends."""
        self._wrong = "its headers do not agree on where the body ends"
        if name == b"Content-Length":
            # Python refuses to make numbers of thousands of digits.
            return len(value) <= MAX_LENGTH_DIGITS
        # RFC 9112, 6.1: before HTTP/1.1 nobody knows it, and "identity" is no more.
        line = self.request_line
        return (
            value.lower() == b"chunked"
            and line is not None
            and (line[2] == b"HTTP/1.1")
        )

    def chunked_decoder(
        self, on_data: Callable[[bytes], None], on_end: Callable[[bytes], None]
    ) -> StrictChunks:
        """Return a decoder that checks trailers, too."""
        return StrictChunks(on_data, on_end)

    def allHeadersReceived(self) -> None:
        """Begin a request whose headers make sense together."""
        request = self.requests[-1]
        if not hasattr(request, "headers"):
            # Each line was looked at as it came.
            request.headers = ReceivedHeaders(raw_headers(request.requestHeaders))
            name = repeated_singleton(request.headers)
            if name is not None:
                self.refuse(BadRequest(problem_with_repeated(name)))
                return
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        """Note the end of a request, unless its headers were refused."""
        if not self._refused:
            super().allContentReceived()

    # What is refused.

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a request line or header that does not fit."""
        self.refuse(HeadersTooLarge(_too_large_message()))

    def refuse_malformed(self) -> None:
        """Answer 431 for what is too large, 400 for what is no HTTP/1.1."""
        if self.are_headers_too_large:
            self.refuse(HeadersTooLarge(_too_large_message()))
        else:
            self.refuse(BadRequest(f"this is no well-formed request: {self._wrong}"))

    def refuse(self, error: HTTPError, reason: str = "") -> None:
        """Answer with an error, and end; `reason` is for the log, if it is another."""
        if self._refused:
            return
        self._refused = True
        started = any(request.startedWriting for request in self.requests)
        requests, self.requests = self.requests, []
        if not any(hasattr(request, "body") for request in requests):
            # Else the request itself has an event.
            self._tell(reason or error.message, 0 if started else error.status)
        for request in requests:
            if hasattr(request, "body"):
                request.connectionLost(Failure(error))
        transport = self.transport
        if started:
            # A second status line would be read as part of the first reply.
            transport.abortConnection()
            return
        body = error.body()
        head = (
            b"HTTP/1.1 %d %b\r\n"
            % (error.status, reason_phrase(error.status))
            + b"Content-Type: application/json\r\n"
            b"Docker-Distribution-Api-Version: registry/2.0\r\n"
            b"Connection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        is_head = self.request_line is not None and self.request_line[0] == b"HEAD"
        transport.write(head if is_head else head + body)
        self.setRawMode()
        self.loseConnection()

    def _tell(self, reason: str, status: int = 0) -> None:
        """Tell the operator of what never becomes a request."""
        peer = peer_name(self.transport.getPeer())
        line = self.request_line or (b"", b"", b"")
        method, target = (part.decode("latin-1") for part in line[:2])
        # A whole URL may have a password in it.
        path = target.partition("?")[0] if target.startswith("/") else ""
        tls = tls_version(self.transport)
        self.factory.malformed.tell(peer, reason, status, method, path, tls)


def _too_large_message() -> str:
    return (
        f"the request line and headers exceed {MAX_HEADERS_BYTES} bytes "
        f"or {MAX_HEADERS} headers"
    )
