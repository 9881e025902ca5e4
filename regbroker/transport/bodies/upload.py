"""
Bodies on their way up, with backpressure, and replies that are read whole.

The client is paused when the upstream cannot take more. The way down is in
`regbroker.transport.bodies.download`.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from regbroker.causes import Cause, Kind, cause_of
from regbroker.errors import (
    BodyTooSlow,
    HTTPError,
    UpstreamMalformed,
    UpstreamTimeout,
)
from regbroker.protocol.bodies import decode_content
from regbroker.transport.client.errors import UPSTREAM, unanswered
from regbroker.transport.client.reply import Reply
from regbroker.transport.client.request_writer import IStreamingBody
from regbroker.transport.flow.stalls import Stall, Stalls

#: How long an upstream that does not know ``Expect`` keeps the client waiting;
#: curl itself gives up waiting after a second.
CONTINUE_SECONDS = 1.0

#: A reply that is read whole is small: what takes longer than this many silences
#: that are long enough to give up, comes to no end.
MAX_SILENCES = 4


@implementer(IStreamingBody)
class UploadBody:
    """
    A client's body, on its way upstream.

    Wraps the body that `regbroker.transport.server.request_bodies.request_body` gave.
    With `wait_for_continue`, nothing is read from the client before
    `upstream_continues` is called, or `CONTINUE_SECONDS` have passed.
    """

    def __init__(
        self,
        body: IBodyProducer,
        clock: IReactorTime,
        wait_for_continue: bool,
    ) -> None:
        self.length = body.length
        self.bytes_sent = 0
        self.moved = clock.seconds()
        self._body = body
        self._clock = clock
        #: Whether it waits for ``100 Continue``.
        self.waits = wait_for_continue
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self._paused = False
        self._complete = False

    def why_stalled(self, seconds: float) -> HTTPError:
        """Return the error that says which side moved nothing for so many seconds."""
        if self._paused:
            return UpstreamTimeout(
                f"the upstream registry took nothing of the body for {seconds:g} s",
                cause=Cause.UPSTREAM_NOT_READING,
            )
        if self._consumer is not None and not (self._complete or self.waits):
            return BodyTooSlow(
                f"the client sent nothing of its body for {seconds:g} s",
                Cause.CLIENT_IDLE,
            )
        return unanswered(UPSTREAM)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the body to `consumer`; the upstream connection is there now."""
        self._consumer = consumer
        self._done = Deferred(lambda _: self.stopProducing())
        if self.waits:
            self._timer = self._clock.callLater(CONTINUE_SECONDS, self._give_up_waiting)
        else:
            self._start()
        return self._done

    def upstream_continues(self) -> None:
        """Note that the upstream wants the body."""
        if self._timer is not None:
            self._timer.cancel()
            self._give_up_waiting()
        self.waits = False

    def pauseProducing(self) -> None:
        """Stop reading from the client."""
        self._paused = True
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        """Read from the client again."""
        self._paused = False
        self.moved = self._clock.seconds()
        if not self.waits:
            self._body.resumeProducing()

    def stopProducing(self) -> None:
        """Lose interest in the rest; what nobody has asked for is left untouched."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.waits:
            self._body.stopProducing()

    def write(self, data: bytes) -> None:
        """Pass on what the client's body produces."""
        self.bytes_sent += len(data)
        self.moved = self._clock.seconds()
        if not self._stopped and self._consumer is not None:
            self._consumer.write(data)

    def _give_up_waiting(self) -> None:
        self._timer = None
        self.waits = False
        self._start()

    def _start(self) -> None:
        self._body.startProducing(self).addCallbacks(self._end, self._fail)

    def _end(self, _: None) -> None:
        self._complete = True
        if self._done is not None and not self._stopped:
            self._done.callback(None)

    def _fail(self, failure: Failure) -> None:
        if self._done is not None and not self._stopped:
            self._done.errback(failure)


class _Gathering:
    def __init__(self, reply: Reply, limit: int, stall: Stall | None) -> None:
        self.finished: Deferred[bytes] = Deferred(lambda _: reply.abort())
        self._stall = stall
        self._reply = reply
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0

    def body_received(self, data: bytes) -> None:
        if self._stall is not None:
            self._stall.touch()
        self._size += len(data)
        if self._size <= self._limit:
            self._chunks.append(data)
        elif not self.finished.called:
            self.finished.errback(_too_large(self._limit))
            self._reply.abort()

    def body_ended(self) -> None:
        if not self.finished.called:
            self.finished.callback(b"".join(self._chunks))

    def body_broken(self, error: Exception) -> None:
        if not self.finished.called:
            cause, why = self._reply.why_broken(error)
            message = f"the upstream broke off its reply{why}"
            self.finished.errback(UpstreamMalformed(message, cause=cause))


async def gather_plain(
    reply: Reply, limit: int, stalls: Stalls, seconds: float
) -> bytes:
    """
    Read a reply's whole body and undo its encoding.

    Fails as `gather_body`, and when nothing has come for `seconds`, or not all for
    `MAX_SILENCES` times that: a byte now and then does not keep a request for ever.
    """
    # Mostly it has come with the head.
    body = reply.take()
    if body is None:
        body = await _gather_in_time(reply, limit, stalls, seconds)
    elif len(body) > limit:
        raise _too_large(limit)
    encoding = (reply.header(b"Content-Encoding") or b"").decode("latin-1")
    return decode_content(body, encoding, limit)


async def _gather_in_time(
    reply: Reply, limit: int, stalls: Stalls, seconds: float
) -> bytes:
    gathering: Deferred[bytes]
    too_late = ""

    def give_up(why: str) -> None:
        nonlocal too_late
        too_late = f"{reply.what} {why}"
        gathering.cancel()

    stall = Stall(
        stalls, seconds, lambda: give_up(f"sent nothing of its reply for {seconds:g} s")
    )
    longest = seconds * MAX_SILENCES
    deadline = stalls.clock.callLater(
        longest, give_up, f"has not sent its whole reply within {longest:g} s"
    )
    gathering = gather_body(reply, limit, stall)
    try:
        return await gathering
    except CancelledError:
        if not too_late:
            raise
        cause = cause_of(reply.what, Kind.IDLE)
        raise UpstreamMalformed(too_late, cause=cause) from None
    finally:
        stall.stop()
        if deadline.active():
            deadline.cancel()


def _too_large(limit: int) -> UpstreamMalformed:
    return UpstreamMalformed(
        f"the upstream's reply is larger than {limit} bytes", cause=Cause.BOUND_REACHED
    )


def gather_body(
    reply: Reply, limit: int, stall: Stall | None = None
) -> Deferred[bytes]:
    """
    Read a reply's whole body.

    Fails with `UpstreamMalformed` above `limit` bytes, or when the upstream
    breaks off. `stall` is touched as the body comes in. Cancelling it ends the
    connection.
    """
    body = _Gathering(reply, limit, stall)
    reply.deliver(body)
    return body.finished
