"""
A `twisted.web` site whose requests are handed over when their headers are in.

Twisted's own `Site` gives a request to its resource after the whole body has
arrived, spooled to disk. Here the resource is rendered at once, and
`request_body` is what it reads from: with backpressure, and with
``100 Continue`` sent only when somebody starts to read.

Facts that shape this module (RFC 9110, RFC 9112):

- A client that sent ``Expect: 100-continue`` holds its body back until it sees
  100 or a final status (9110, 10.1.1).
- A reply may be finished before the request's body has arrived. What is left
  of the body must then be read and thrown away, or the connection closed; a
  close with unread bytes makes the kernel reset the connection, and the
  client may lose the reply (9112, 9.6). So: read on, within bounds.

The same resources work in a plain `twisted.web.server.Site`; `request_body`
then reads what Twisted has spooled.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer, IDelayedCall, IPushProducer
from twisted.python.failure import Failure
from twisted.web.client import FileBodyProducer
from twisted.web.http import HTTPChannel
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer, IRequest
from twisted.web.server import Request, Site
from zope.interface import implementer

from regbroker.errors import BadRequest, BodyTooLarge, HeadersTooLarge, HTTPError

#: Request line and headers together. Cloud registries issue bearer tokens of
#: 16 KiB, and a token request may name dozens of scopes in its query.
MAX_HEADERS_BYTES = 64 * 1024

#: Headers of one request; browsers and registry clients send fewer than 30.
MAX_HEADERS = 100

#: What may wait in memory while nobody reads the body yet.
READ_AHEAD_BYTES = 64 * 1024

#: What is read and thrown away of a body that nobody wanted, so that the
#: connection can be kept for the next request, or at least its reply be read.
MAX_DRAIN_BYTES = 1024 * 1024
DRAIN_SECONDS = 5.0


class ClientGone(Exception):
    """The client went away before its request's body was complete."""


@implementer(IBodyProducer)
class StreamedBody:
    """
    The body of one request, as it arrives.

    Until `startProducing` is called, up to `READ_AHEAD_BYTES` are kept and
    then the connection is paused. `length` is in bytes, or `UNKNOWN_LENGTH`.
    """

    def __init__(self, channel: StreamingChannel, length: int | None) -> None:
        self.length: Any = UNKNOWN_LENGTH if length is None else length
        self.complete = length == 0
        self.bytes_received = 0
        self.expects_continue = False
        self._channel = channel
        self._waiting: list[bytes] = []
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] | None = None
        self._failure: Failure | None = None
        self._paused = False
        self._discarding = False

    def __repr__(self) -> str:
        state = "complete" if self.complete else "arriving"
        return f"<StreamedBody {state}, {self.bytes_received} bytes so far>"

    # What the channel tells.

    def received(self, data: bytes) -> None:
        """Take the next bytes from the client."""
        self.bytes_received += len(data)
        if self._discarding:
            return
        if self._consumer is not None:
            self._consumer.write(data)
            if self._paused:
                # Decrypted bytes still arrive after a pause, and the channel
                # may have resumed the transport for reasons of its own.
                self._channel.pause_reading()
        else:
            self._waiting.append(data)
            if sum(map(len, self._waiting)) >= READ_AHEAD_BYTES:
                self._pause()

    def finished(self) -> None:
        """Note that the whole body has arrived."""
        self.complete = True
        if self._consumer is not None and self._done is not None:
            self._consumer = None
            done, self._done = self._done, None
            done.callback(None)

    def failed(self, failure: Failure) -> None:
        """Note that the rest of the body will never arrive."""
        if self.complete or self._failure is not None:
            return
        self._failure = failure
        self._consumer = None
        self._waiting.clear()
        if self._done is not None:
            done, self._done = self._done, None
            done.errback(failure)

    # What the reader says: IBodyProducer.

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write the body to `consumer` as it arrives.

        Fires with None after the last byte; fails with `ClientGone` when the
        client goes away before that.
        """
        if self._failure is not None:
            return fail(self._failure)
        self.send_continue()
        waiting, self._waiting = self._waiting, []
        if waiting:
            consumer.write(b"".join(waiting))
        if self.complete:
            return succeed(None)
        self._consumer = consumer
        self._done = Deferred(lambda _: self.stopProducing())
        self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        """Stop reading from the client until `resumeProducing`."""
        if not self.complete:
            self._pause()

    def resumeProducing(self) -> None:
        """Read from the client again."""
        if self._paused:
            self._paused = False
            self._channel.resume_reading()

    def stopProducing(self) -> None:
        """Lose interest; whatever still arrives is thrown away."""
        self.discard()

    # What else can be done with a body.

    def send_continue(self) -> None:
        """Tell a client that waits for it that the body is wanted."""
        if self.expects_continue:
            self.expects_continue = False
            self._channel.send_continue()

    def discard(self) -> None:
        """Throw away what is here and what will come."""
        self._discarding = True
        self._consumer = None
        self._waiting.clear()
        self.resumeProducing()

    @property
    def bytes_missing(self) -> int | None:
        """How many bytes have not arrived; None when nobody can know."""
        if self.complete:
            return 0
        if self.length is UNKNOWN_LENGTH:
            return None
        return int(self.length) - self.bytes_received

    def _pause(self) -> None:
        self._paused = True
        self._channel.pause_reading()


class StreamingRequest(Request):
    """A request that is processed as soon as its headers are in."""

    channel: Any
    body: StreamedBody

    def gotLength(self, length: int | None) -> None:
        """Start processing; `length` is None for a chunked body."""
        self.content = None
        self.body = StreamedBody(self.channel, length)
        expect = self.requestHeaders.getRawHeaders(b"Expect", [b""])[0]
        # Taken out, so that the channel does not answer it before anybody has
        # looked at the request, and because it is not for the next hop.
        self.requestHeaders.removeHeader(b"Expect")
        if not self.body.complete:
            self.body.expects_continue = expect.lower() == b"100-continue"
            self._begin(*self.channel.request_line())

    def handleContentChunk(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self.body.received(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Note the end of the body; without a body, start processing."""
        if self.body.length == 0:
            self._begin(command, path, version)
        else:
            channel = self.body._channel
            self.body.finished()
            channel.body_finished(self)

    def connectionLost(self, reason: Failure) -> None:
        """Fail the body and everybody who waits for this request's end."""
        self.body.failed(Failure(ClientGone("the client closed the connection")))
        super().connectionLost(reason)

    def _begin(self, method: bytes, uri: bytes, version: bytes) -> None:
        self.method, self.uri, self.clientproto = method, uri, version
        self.path = uri.split(b"?", 1)[0]
        # Resources parse what they need of the query and of forms, from bytes.
        self.args = {}
        self.process()


class StreamingChannel(HTTPChannel):
    """
    The server's side of one connection: HTTP/1.1 and nothing else.

    Adds to Twisted's own: bounds that fit registries, refusals as OCI JSON,
    and patience with bodies that nobody wanted.
    """

    MAX_LENGTH = MAX_HEADERS_BYTES
    totalHeadersSize = MAX_HEADERS_BYTES
    maxHeaders = MAX_HEADERS

    requests: list[StreamingRequest]
    callLater: Callable[..., IDelayedCall]

    def __init__(self) -> None:
        super().__init__()
        self._refused = False
        self._unfinished: StreamingRequest | None = None
        self._lingering: IDelayedCall | None = None

    # What bodies ask for.

    def request_line(self) -> tuple[bytes, bytes, bytes]:
        """Return method, target and version of the request being read."""
        return self._command, self._path, self._version

    def pause_reading(self) -> None:
        """Stop reading; a client is not timed out while we do not read."""
        self.setTimeout(None)
        cast(IPushProducer, self.transport).pauseProducing()

    def resume_reading(self) -> None:
        """Read again, with the idle timeout in force."""
        if not self._handlingRequest:
            self.setTimeout(self.timeOut)
        cast(IPushProducer, self.transport).resumeProducing()

    def send_continue(self) -> None:
        """Write the interim reply that asks for the body."""
        cast(Any, self.transport).write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # Replies that are out before the body is in.

    def writeHeaders(
        self, version: bytes, code: bytes, reason: bytes, headers: Headers
    ) -> None:
        """Announce the end of the connection when the body is too much to drain."""
        if self.requests and not self._can_drain(self.requests[0].body):
            self.persistent = 0
            headers.setRawHeaders(b"Connection", [b"close"])
        super().writeHeaders(version, code, reason, headers)

    def requestDone(self, request: StreamingRequest) -> None:
        """Go on to the next request once this one's body is out of the way."""
        if request.body.complete:
            super().requestDone(request)
            return
        self._unfinished = request
        request.body.discard()
        self._linger()

    def body_finished(self, request: StreamingRequest) -> None:
        """Go on, if the reply to `request` went out before its body was in."""
        if self._unfinished is request:
            self._unfinished = None
            self._stop_lingering()
            super().requestDone(request)

    def _can_drain(self, body: StreamedBody) -> bool:
        missing = body.bytes_missing
        if body.expects_continue:
            # The client may now send the body or not, and nobody can tell.
            return missing == 0
        return missing is not None and missing <= MAX_DRAIN_BYTES

    def _linger(self) -> None:
        self._drained = 0
        self._lingering = self.callLater(DRAIN_SECONDS, self._end_lingering)

    def _end_lingering(self) -> None:
        self._lingering = None
        self.loseConnection()

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    # Requests that cannot be parsed.

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a request line or header that does not fit."""
        self._refuse(HeadersTooLarge(_too_large_message()))

    def _respondToBadRequestAndDisconnect(self) -> None:
        if (
            self._receivedHeaderSize > self.totalHeadersSize
            or self._receivedHeaderCount > self.maxHeaders
        ):
            self._refuse(HeadersTooLarge(_too_large_message()))
        else:
            self._refuse(BadRequest("this is not a well-formed HTTP/1.1 request"))

    def _refuse(self, error: HTTPError) -> None:
        if self._refused:
            return
        self._refused = True
        started = any(request.startedWriting for request in self.requests)
        requests, self.requests = self.requests, []
        for request in requests:
            if hasattr(request, "body"):
                request.connectionLost(Failure(error))
        transport = cast(Any, self.transport)
        if started:
            # A second status line would be read as part of the first reply.
            transport.abortConnection()
            return
        body = error.body()
        transport.write(
            b"HTTP/1.1 %d %b\r\n"
            % (error.status, reason_phrase(error.status))
            + b"Content-Type: application/json\r\n"
            b"Docker-Distribution-Api-Version: registry/2.0\r\n"
            b"Connection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        self.setTimeout(None)
        self._linger()
        self.setRawMode()

    def rawDataReceived(self, data: bytes) -> None:
        """Throw away what follows a refusal; count what is being drained."""
        if self._lingering is not None:
            self._drained += len(data)
            if self._drained > MAX_DRAIN_BYTES:
                self._stop_lingering()
                self.loseConnection()
        if not self._refused:
            super().rawDataReceived(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Tell the requests, and forget the timers."""
        self._stop_lingering()
        super().connectionLost(reason)


def reason_phrase(status: int) -> bytes:
    """Return the standard reason phrase of a status, or nothing."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


def _too_large_message() -> str:
    return (
        f"the request line and headers exceed {MAX_HEADERS_BYTES} bytes "
        f"or {MAX_HEADERS} headers"
    )


class StreamingSite(Site):
    """A `Site` of streaming requests that speaks HTTP/1.1 alone."""

    protocol = StreamingChannel  # type: ignore[assignment]
    requestFactory = StreamingRequest

    def acceptableProtocols(self) -> list[bytes]:
        """Offer HTTP/1.1 alone in ALPN: Twisted's HTTP/2 is ten times slower."""
        return [b"http/1.1"]

    def log(self, request: Any) -> None:
        """Write no access log here; `regbroker.observe` does."""


def request_body(request: IRequest) -> Any:
    """
    Return the `IBodyProducer` of a request's body, or None without a body.

    In a `StreamingSite` the body streams; in any other site it is read from
    where Twisted has spooled it.
    """
    if isinstance(request, StreamingRequest):
        return None if request.body.length == 0 else request.body
    content = cast(Any, request).content
    body = FileBodyProducer(content)
    return body if body.length else None


@implementer(IConsumer)
class _Collector:
    """Gathers a body that has to be read whole, up to a limit in bytes."""

    def __init__(self, body: Any, limit: int) -> None:
        self.finished: Deferred[bytes] = Deferred()
        self._body = body
        self._limit = limit
        self._size = 0
        self._chunks: list[bytes] = []

    def collect(self) -> Deferred[bytes]:
        """Fire with the whole body, or fail as `read_body` says."""

        def end(_: None) -> None:
            if not self.finished.called:
                self.finished.callback(b"".join(self._chunks))

        def failed(failure: Failure) -> None:
            if not self.finished.called:
                self.finished.errback(failure)

        self._body.startProducing(self).addCallbacks(end, failed)
        return self.finished

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Not needed: a bounded body needs no backpressure."""

    def unregisterProducer(self) -> None:
        """Not needed, as `registerProducer`."""

    def write(self, data: bytes) -> None:
        """Keep `data`, or give up when the limit is passed."""
        self._size += len(data)
        if self._size <= self._limit:
            self._chunks.append(data)
        elif not self.finished.called:
            self._chunks.clear()
            self._body.stopProducing()
            self.finished.errback(_body_too_large(self._limit))


def read_body(request: IRequest, limit: int) -> Deferred[bytes]:
    """
    Read a request's whole body.

    Fails with `BodyTooLarge` above `limit` bytes, with `ClientGone` when the
    client closes the connection before the end.
    """
    body = request_body(request)
    if body is None:
        return succeed(b"")
    if body.length is not UNKNOWN_LENGTH and body.length > limit:
        return fail(_body_too_large(limit))
    return _Collector(body, limit).collect()


def _body_too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"this endpoint takes a body of at most {limit} bytes")
