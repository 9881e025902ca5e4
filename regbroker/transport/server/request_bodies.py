"""The body of a request, streamed as it arrives."""

from __future__ import annotations

from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer, IRequest
from zope.interface import implementer

from regbroker.causes import Cause
from regbroker.transport.server.body_watch import BodyWatch

#: What may wait in memory while nobody reads the body yet.
READ_AHEAD_BYTES = 64 * 1024


class BodyChannel(Protocol):
    """What a body asks of its connection."""

    def pause_reading(self) -> None:
        """Stop reading from the client."""

    def resume_reading(self) -> None:
        """Read from the client again."""

    def send_continue(self) -> None:
        """Write ``100 Continue``."""


class ClientGone(Exception):
    """
    The client went away before its request's body was complete.

    `cause` says how, and `status` is that of the reply; 0 without one.
    """

    def __init__(
        self,
        message: str = "the client closed the connection",
        cause: Cause = Cause.CLIENT_LEFT,
        status: int = 0,
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.status = status


@implementer(IBodyProducer)
class StreamedBody:
    """
    The body of one request, as it arrives.

    Until `startProducing` is called, up to `READ_AHEAD_BYTES` are kept and
    then the connection is paused. `length` is in bytes, or `UNKNOWN_LENGTH`. When
    `watch` gives it up, it fails with `BodyTooSlow`.
    """

    #: Ends a body that comes too slowly.
    watch: BodyWatch | None = None
    #: Whether it was read into the request's `content`.
    is_spooled = False

    def __init__(self, channel: BodyChannel, length: int | None) -> None:
        self.length: int | str = UNKNOWN_LENGTH if length is None else length
        self.complete = length == 0
        self.bytes_received = 0
        self.expects_continue = False
        self._channel = channel
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] | None = None
        self._failure: Failure | None = None
        self._paused = False
        self._discarding = False
        self._was_started = False

    def __repr__(self) -> str:
        state = "complete" if self.complete else "arriving"
        return f"<StreamedBody {state}, {self.bytes_received} bytes so far>"

    # What the channel tells.

    def received(self, data: bytes) -> None:
        """Take the next bytes from the client."""
        self.bytes_received += len(data)
        if self._discarding:
            return
        if self.watch is not None:
            self.watch.received(len(data))
        if self._consumer is not None:
            self._consumer.write(data)
            if self._paused:
                # Decrypted bytes still arrive after a pause, and the channel
                # may have resumed the transport for reasons of its own.
                self._channel.pause_reading()
        else:
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if self._waiting_bytes >= READ_AHEAD_BYTES:
                self._pause()

    def finished(self) -> None:
        """Note that the whole body has arrived."""
        self.complete = True
        self._stop_watching()
        if self._consumer is not None and self._done is not None:
            self._consumer = None
            done, self._done = self._done, None
            done.callback(None)

    def failed(self, failure: Failure) -> None:
        """Note that the rest of the body will never arrive."""
        if self.complete or self._failure is not None:
            return
        self._failure = failure
        self._stop_watching()
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
        client goes away before that, with `BodyTooSlow` when it takes too long.
        """
        self._was_started = True
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
            if self.watch is not None and not self._discarding:
                self.watch.resume()
            self._channel.resume_reading()

    def stopProducing(self) -> None:
        """Lose interest; whatever still arrives is thrown away."""
        self.discard()

    # What else can be done with a body.

    def send_continue(self) -> None:
        """Tell a client that waits for it that the body is wanted."""
        if self.expects_continue:
            self.expects_continue = False
            self.start_watching()
            self._channel.send_continue()

    def start_watching(self) -> None:
        """Expect the body from now on, unless the client waits to be asked for it."""
        if self.watch is not None and not self.expects_continue:
            self.watch.resume()

    def read_whole(self) -> None:
        """Expect the whole body soon: somebody waits for all of it."""
        if self.watch is not None:
            self.watch.read_whole()

    def discard(self) -> None:
        """Throw away what is here and what will come."""
        self._discarding = True
        self._stop_watching()
        self._consumer = None
        self._waiting.clear()
        self.resumeProducing()

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has read of it, or given it up: it can still be sent."""
        return not (self._was_started or self._discarding)

    @property
    def bytes_missing(self) -> int | None:
        """How many bytes have not arrived; None when nobody can know."""
        if self.complete:
            return 0
        if self.length is UNKNOWN_LENGTH:
            return None
        return int(self.length) - self.bytes_received

    def _stop_watching(self) -> None:
        if self.watch is not None:
            self.watch.stop()

    def _pause(self) -> None:
        self._paused = True
        if self.watch is not None:
            self.watch.pause()
        self._channel.pause_reading()


class _Nobody:
    """The connection of a body that never needs one."""

    def pause_reading(self) -> None:
        """Do nothing."""

    resume_reading = send_continue = pause_reading


#: The body of all requests that have none: it is complete, and stays as it is.
NO_BODY = StreamedBody(_Nobody(), 0)


def request_body(request: IRequest) -> IBodyProducer | None:
    """
    Return the `IBodyProducer` of a request's body.

    None without a body, and for one that has ended without a byte.

    In a `StreamingSite` the body streams; in any other site, and in a page, it is read
    from where it was spooled.
    """
    body = getattr(request, "body", None)
    if body is NO_BODY:
        return None
    if isinstance(body, StreamedBody) and not body.is_spooled:
        return None if body.complete and not body.bytes_received else body
    # Twisted's HTTP client takes long to load, and a service has no other site.
    from twisted.web.client import FileBodyProducer

    content = cast(Any, request).content
    spooled = FileBodyProducer(content)
    return spooled if spooled.length else None
