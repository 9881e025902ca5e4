"""
Bodies on their way between client and upstream, with backpressure.

Nothing is gathered: each side is paused when the other cannot take more. What
breaks on one side breaks visibly on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from twisted.web.server import Request
from zope.interface import implementer

from regbroker.bodies import decode_content
from regbroker.connections import Reply
from regbroker.errors import UpstreamMalformed

#: How long an upstream that does not know ``Expect`` keeps the client waiting;
#: curl itself gives up waiting after a second.
CONTINUE_SECONDS = 1.0


class Stall:
    """
    Notices when nothing moves in either direction any more.

    Calls `on_stall` once, when `touch` has not been called for `seconds`.
    """

    def __init__(
        self, clock: Any, seconds: float, on_stall: Callable[[], object]
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._on_stall = on_stall
        self._touched: float = clock.seconds()
        # One timer, set again when it fires: moving it on each chunk is dear.
        self._timer: Any = clock.callLater(seconds, self._check)

    def touch(self) -> None:
        """Note that something moved."""
        self._touched = self._clock.seconds()

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        left = self._touched + self._seconds - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._check)
        else:
            self._on_stall()


@implementer(IBodyProducer)
class UploadBody:
    """
    A client's body, on its way upstream.

    Wraps the body that `regbroker.channel.request_body` gave. With
    `wait_for_continue`, nothing is read from the client before
    `upstream_continues` is called, or `CONTINUE_SECONDS` have passed.
    """

    def __init__(
        self, body: Any, clock: Any, stall: Stall, wait_for_continue: bool
    ) -> None:
        self.length = body.length
        self.bytes_sent = 0
        self._body = body
        self._clock = clock
        self._stall = stall
        self._waiting = wait_for_continue
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] | None = None
        self._timer: Any = None
        self._stopped = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the body to `consumer`; the upstream connection is there now."""
        self._consumer = consumer
        self._done = Deferred(lambda _: self.stopProducing())
        if self._waiting:
            self._timer = self._clock.callLater(CONTINUE_SECONDS, self._give_up_waiting)
        else:
            self._start()
        return self._done

    def upstream_continues(self) -> None:
        """Note that the upstream wants the body."""
        if self._timer is not None:
            self._timer.cancel()
            self._give_up_waiting()
        self._waiting = False

    def pauseProducing(self) -> None:
        """Stop reading from the client."""
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        """Read from the client again."""
        self._stall.touch()
        if not self._waiting:
            self._body.resumeProducing()

    def stopProducing(self) -> None:
        """Lose interest in the rest; what nobody has asked for is left untouched."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            self._body.stopProducing()

    def write(self, data: bytes) -> None:
        """Pass on what the client's body produces."""
        self.bytes_sent += len(data)
        self._stall.touch()
        if not self._stopped and self._consumer is not None:
            self._consumer.write(data)

    def _give_up_waiting(self) -> None:
        self._timer = None
        self._waiting = False
        self._start()

    def _start(self) -> None:
        self._body.startProducing(self).addCallbacks(self._end, self._fail)

    def _end(self, _: None) -> None:
        if self._done is not None and not self._stopped:
            self._done.callback(None)

    def _fail(self, failure: Failure) -> None:
        if self._done is not None and not self._stopped:
            self._done.errback(failure)


class TransferBroken(Exception):
    """A reply ended before it was complete; says whose fault it was."""


class _ReplyBody(Protocol):
    """Carries a reply's body from the upstream to the client."""

    def __init__(self, request: Request, reply: Reply, stall: Stall) -> None:
        self.finished: Deferred[None] = Deferred()
        self._request = request
        self._reply = reply
        self._stall = stall
        self._client_gone = False
        request.notifyFinish().addErrback(self._on_client_gone)

    def connectionMade(self) -> None:
        if not self._client_gone:
            self._request.registerProducer(_Touching(self.transport, self._stall), True)

    def dataReceived(self, data: bytes) -> None:
        self._stall.touch()
        if not self._client_gone:
            self._request.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.finished.called:
            return
        complete = reason.check(ResponseDone) is not None or (
            # The end of the connection is the end of the body, if it is one
            # that the upstream has meant.
            reason.check(PotentialDataLoss) is not None and self._reply.closed_in_order
        )
        self._request.unregisterProducer()
        if complete:
            self._request.finish()
            self.finished.callback(None)
        else:
            abort_client(self._request)
            self.finished.errback(TransferBroken("the upstream broke off its reply"))

    def _on_client_gone(self, failure: Failure) -> None:
        if not self.finished.called:
            self._client_gone = True
            self.finished.errback(TransferBroken("the client closed the connection"))
            self._reply.abort()


@implementer(IPushProducer)
class _Touching:
    """Passes pauses on; a client that takes more is a client that is there."""

    def __init__(self, producer: Any, stall: Stall) -> None:
        self._producer = producer
        self._stall = stall

    def pauseProducing(self) -> None:
        self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        self._stall.touch()
        self._producer.resumeProducing()

    def stopProducing(self) -> None:
        self._producer.stopProducing()


def relay_body(request: Request, reply: Reply, stall: Stall) -> Deferred[None]:
    """
    Stream a reply's body to the client and finish the request.

    Fires when the last byte is handed to the connection; fails with
    `TransferBroken` when either side breaks off, after the other has been made
    to see it.
    """
    body = _ReplyBody(request, reply, stall)
    reply.deliver(body)
    return body.finished


def abort_client(request: Request) -> None:
    """Break the client's connection, so that no half reply looks complete."""
    channel: Any = request.channel
    if channel is not None:
        channel.transport.abortConnection()


class _Gathering(Protocol):
    def __init__(self, reply: Reply, limit: int, stall: Stall | None) -> None:
        self.finished: Deferred[bytes] = Deferred(lambda _: reply.abort())
        self._stall = stall
        self._reply = reply
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        if self._stall is not None:
            self._stall.touch()
        self._size += len(data)
        if self._size <= self._limit:
            self._chunks.append(data)
        elif not self.finished.called:
            self.finished.errback(
                UpstreamMalformed(
                    f"the upstream's reply is larger than {self._limit} bytes"
                )
            )
            self._reply.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.finished.called:
            return
        if reason.check(ResponseDone) or (
            reason.check(PotentialDataLoss) and self._reply.closed_in_order
        ):
            self.finished.callback(b"".join(self._chunks))
        else:
            self.finished.errback(UpstreamMalformed("the upstream broke off its reply"))


async def gather_plain(reply: Reply, limit: int, clock: Any, seconds: float) -> bytes:
    """
    Read a reply's whole body and undo its encoding.

    Fails as `gather_body`, and when nothing has come for `seconds`.
    """
    stall = Stall(clock, seconds, reply.abort)
    try:
        body = await gather_body(reply, limit, stall)
    finally:
        stall.stop()
    encoding = (reply.header(b"Content-Encoding") or b"").decode("latin-1")
    return decode_content(body, encoding, limit)


def gather_body(
    reply: Reply, limit: int, stall: Stall | None = None
) -> Deferred[bytes]:
    """
    Read a reply's whole body.

    Fails with `UpstreamMalformed` above `limit` bytes, or when the upstream
    breaks off. `stall` is touched as the body comes in.
    """
    body = _Gathering(reply, limit, stall)
    reply.deliver(body)
    return body.finished
