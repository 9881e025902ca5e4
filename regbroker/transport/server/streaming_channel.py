"""
One connection of a client's, whose requests are handed over with their headers.

Facts that shape this module (RFC 9110, RFC 9112):

- A client that sent ``Expect: 100-continue`` holds its body back until it sees
  100 or a final status (9110, 10.1.1).
- A reply may be finished before the request's body has arrived. What is left
  of the body must then be read and thrown away, or the connection closed; a
  close with unread bytes makes the kernel reset the connection, and the
  client may lose the reply (9112, 9.6). So: read on, within bounds.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from regbroker.errors import BadRequest, BodyTooSlow
from regbroker.protocol.headers import connection_options
from regbroker.transport.server.body_watch import BodyWatch
from regbroker.transport.server.request_bodies import NO_BODY, StreamedBody
from regbroker.transport.server.streaming_request import StreamingRequest
from regbroker.transport.server.strict_channel import StrictChannel

#: What is read and thrown away of a body that nobody wanted, so that the
#: connection can be kept for the next request.
MAX_DRAIN_BYTES = 1024 * 1024
DRAIN_SECONDS = 5.0

#: A reply that is made here is written at once. A client that is slow to read the
#: rest is not idle: it has so many times as long.
READING_SILENCES = 15

#: A client that sends a byte now and then is not waited for longer than this.
HEADER_SECONDS = 60.0

#: When regbroker stops, a client has so many seconds to ask for the first time: behind
#: it may be a handshake and a few round trips. One that has asked before, and been told
#: nothing of the end, may be about to ask again.
FIRST_REQUEST_SECONDS = 5.0
NEXT_REQUEST_SECONDS = 1.0

#: A client that did not, and is told of the end, has so many seconds to notice it.
IDLE_LINGER_SECONDS = 1.0

_TLS_HANDSHAKE = b"\x16\x03"
_TLS_MESSAGE = "this is TLS, and the port is for plain HTTP; write http://"


class StreamingChannel(StrictChannel):
    """
    The server's side of one connection: HTTP/1.1 and nothing else.

    Adds to `StrictChannel` patience with bodies that nobody wanted.
    """

    requests: list[StreamingRequest]

    def __init__(self) -> None:
        super().__init__()
        self._headers_since: float | None = None
        self._unfinished: StreamingRequest | None = None
        self._draining: IDelayedCall | None = None
        self._is_winding_down = self._is_stopping = False
        #: What `regbroker.transport.server.client_connection` keeps here.
        self.client_connection: tuple[object, ...] | None = None

    def wind_down(self, is_stopping: bool = False) -> None:
        """
        Let the connection end with the next reply that can say so.

        The client of one whose head is sent may ask at once for something else. If
        regbroker `is_stopping`, a client that asks for nothing is not waited for long.
        """
        self._is_winding_down = True
        if is_stopping and not self._is_stopping:
            self._is_stopping = True
            if self.timeOut is not None and not self.waits_for_client:
                self.setTimeout(min(self.timeOut, self._silence))

    @property
    def _silence(self) -> float:
        """Seconds that the client has to begin its next request."""
        silence: float = self.factory.pace.silence
        if not self._is_stopping:
            return silence
        return min(
            silence, FIRST_REQUEST_SECONDS if self.is_new else NEXT_REQUEST_SECONDS
        )

    def timeoutConnection(self) -> None:
        """End a connection whose client has asked for nothing in time."""
        if not self._is_stopping:
            super().timeoutConnection()
        elif self.timeOut is not None:
            # Twisted would have a line in the log for each of maybe thousands.
            self.linger_seconds = IDLE_LINGER_SECONDS
            self.loseConnection()

    def hangs_up_on(self, data: bytes) -> bool:
        """End it for TLS where there is none, and for headers that take too long."""
        if self.is_new:
            self.is_new = False
            if data.startswith(_TLS_HANDSHAKE) and not self.isSecure():
                # It has no line end, and both sides would wait for ever. Clients that
                # may do without TLS try it first; many go on without it only where
                # what comes back is HTTP.
                self.refuse(BadRequest(_TLS_MESSAGE), "TLS, on a port that has none")
                return True
        if self.line_mode and self._headers_take_too_long():
            self.hang_up(f"the headers have no end after {HEADER_SECONDS:g} s")
            return True
        return False

    def _headers_take_too_long(self) -> bool:
        now = self.factory.reactor.seconds()
        if self._headers_since is None:
            self._headers_since = now
        return bool(now - self._headers_since > HEADER_SECONDS)

    def allHeadersReceived(self) -> None:
        """Hand the request over; its headers came in time."""
        self._headers_since = None
        super().allHeadersReceived()

    def checkPersistence(self, request: StreamingRequest, version: bytes) -> bool:
        """Tell whether the client wants to go on: all of its headers are read."""
        headers = request.headers
        if (
            version == b"HTTP/1.1"
            and not self._is_winding_down
            and not (
                b"connection" in headers.by_name
                and b"close" in connection_options(headers.all(b"connection"))
            )
        ):
            return True
        request.setHeader(b"Connection", b"close")
        return False

    def resumeProducing(self) -> None:
        """Go on writing: the client has read, and may ask for something else."""
        super().resumeProducing()
        if self.timeOut is not None and not self.is_handling_request:
            self.setTimeout(self._silence)

    # What bodies ask for.

    def watch(self, body: StreamedBody) -> None:
        """See to it that a body does not take for ever; in place of the timeout."""
        self.setTimeout(None)
        site = self.factory

        def give_up(error: BodyTooSlow) -> None:
            self.persistent = 0
            body.failed(Failure(error))

        body.watch = BodyWatch(site.reactor, site.pace, give_up)
        body.start_watching()

    def pause_reading(self) -> None:
        """Stop reading; a client is not timed out while we do not read."""
        self.reading.pauseProducing()

    def resume_reading(self) -> None:
        """Read again."""
        self.reading.resumeProducing()

    def send_continue(self) -> None:
        """Write the interim reply that asks for the body."""
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # Replies that are out before the body is in.

    def writeHeaders(
        self, version: bytes, code: bytes, reason: bytes, headers: Headers
    ) -> None:
        """Announce the end of the connection where it ends with this reply."""
        if self.ends_with_reply(headers.getRawHeaders(b"Connection", ())):
            headers.setRawHeaders(b"Connection", [b"close"])
        super().writeHeaders(version, code, reason, headers)

    def ends_with_reply(self, options: Sequence[bytes]) -> bool:
        """
        Tell whether the connection ends with a reply.

        It does if the reply's ``Connection`` headers, `options`, say so, when the
        client's body is too much to drain, and when the connection is to end anyway.
        """
        body = self.requests[0].body if self.requests else NO_BODY
        if (
            self._is_winding_down
            or not (body.complete or self._can_drain(body))
            or (options and b"close" in connection_options(options))
        ):
            self.persistent = 0
        return not self.persistent

    def requestDone(self, request: StreamingRequest) -> None:
        """Go on to the next request once this one's body is out of the way."""
        if not request.body.complete:
            self._drain(request)
            return
        # While a body comes it is watched, and the timeout is off: it is to be on
        # again, for the next request must come in time.
        silence: float = self.factory.pace.silence
        if not self.waits_for_client:
            self.end_request(request, self._silence if self._is_stopping else silence)
            return
        self.end_request(request, silence * READING_SILENCES)
        if self.waits_for_client and not self.is_handling_request:
            # Twisted stops reading only when a reply does not fit while none is
            # being made; pipelined requests that are answered at once would
            # fill the memory of a client's connection that is not read.
            self.pause_transport()

    def _drain(self, request: StreamingRequest) -> None:
        """Throw away what is left of a body, or end the connection."""
        request.body.discard()
        if not self.persistent:
            # As the reply has announced.
            self.loseConnection()
            return
        # Its length is known, and bounded: `ends_with_reply`.
        self._unfinished = request
        self._draining = self.callLater(DRAIN_SECONDS, self._end_draining)

    def body_finished(self, request: StreamingRequest) -> None:
        """Go on, if the reply to `request` went out before its body was in."""
        if self._unfinished is request:
            self._unfinished = None
            self._stop_draining()
            self.requestDone(request)

    def _can_drain(self, body: StreamedBody) -> bool:
        missing = body.bytes_missing
        if body.expects_continue:
            # The client may now send the body or not, and nobody can tell.
            return missing == 0
        return missing is not None and missing <= MAX_DRAIN_BYTES

    def _end_draining(self) -> None:
        self._draining = None
        self.loseConnection()

    def _stop_draining(self) -> None:
        if self._draining is not None:
            self._draining.cancel()
            self._draining = None

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Tell the requests, and forget the timers."""
        self._stop_draining()
        super().connectionLost(reason)
