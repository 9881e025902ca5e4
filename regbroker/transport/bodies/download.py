"""
Bodies on their way down to a client, with backpressure.

Nothing is gathered: the upstream is paused when the client cannot take more. What
breaks on one side breaks visibly on the other, and the side that broke it is known.

A client sees a reply that ends too early in two ways. containerd, and what is built on
it, goes on with a range after an unexpected end of the stream, and gives up after a
reset of the connection. So a connection is reset only where an end would look like that
of the reply, or where the client reads nothing.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from regbroker.causes import Cause, Kind, Side, cause_of
from regbroker.transport.client.reply import Reply
from regbroker.transport.flow.stalls import Stall, Stalls
from regbroker.transport.server.departures import Companion
from regbroker.transport.server.lingering import break_off
from regbroker.transport.server.replies import reply_header

#: A reply's sender in the log, where a shorter word than an error's will do.
_SENDERS = {Side.UPSTREAM.value: "the upstream", Side.STORAGE.value: "the storage"}


class TransferBroken(Exception):
    """A reply ended before it was complete; says whose fault it was, and `cause`."""

    def __init__(self, message: str, cause: Cause) -> None:
        super().__init__(message)
        self.cause = cause


class _ReplyBody(Companion):
    """Carries a reply's body from the upstream to the client."""

    def __init__(
        self, request: Request, reply: Reply, stalls: Stalls, seconds: float
    ) -> None:
        self.finished: Deferred[None] = Deferred(self._cancelled)
        self.is_paused = False
        self._request = request
        self._reply = reply
        self._seconds = seconds
        self._sender = _SENDERS.get(reply.what, reply.what)
        self._over = False
        self.stall = Stall(stalls, seconds, self._stalled)
        self.accompany(request)

    def start(self) -> Deferred[None]:
        if not self._over:
            self._request.registerProducer(_Watched(self._reply, self), True)
        self._reply.deliver(self)
        return self.finished

    def body_received(self, data: bytes) -> None:
        self.stall.touch()
        if not self._over:
            self._request.write(data)

    def body_ended(self) -> None:
        if not self._over:
            self._end()
            self._request.unregisterProducer()
            self._request.finish()
            self.finished.callback(None)

    def body_broken(self, error: Exception) -> None:
        if not self._over:
            cause, why = self._reply.why_broken(error)
            self._break(f"{self._sender} broke off its reply{why}", cause)

    def client_gone(self, reason: Failure) -> None:
        """Give up the reply: nobody reads it."""
        if not self._over:
            self._end()
            self._reply.abort()
            self.finished.errback(
                TransferBroken("the client closed the connection", Cause.CLIENT_LEFT)
            )

    def _stalled(self) -> None:
        """Say which side it is that moves nothing."""
        self._break(
            f"the client read nothing for {self._seconds:g} s"
            if self.is_paused
            else f"{self._sender} sent nothing for {self._seconds:g} s",
            Cause.CLIENT_NOT_READING
            if self.is_paused
            else cause_of(self._reply.what, Kind.IDLE),
        )

    def _cancelled(self, _: Deferred[None]) -> None:
        """The canceller answers the client, or knows that the client is gone."""
        self._end()
        self._reply.abort()

    def _break(self, message: str, cause: Cause) -> None:
        self._end()
        self._request.unregisterProducer()
        self._reply.abort()
        abort_client(self._request, is_reading=cause is not Cause.CLIENT_NOT_READING)
        self.finished.errback(TransferBroken(message, cause))

    def _end(self) -> None:
        self._over = True
        self.stall.stop()


@implementer(IPushProducer)
class _Watched:
    """Passes pauses on; a client that takes more is a client that is there."""

    def __init__(self, producer: IPushProducer, body: _ReplyBody) -> None:
        self._producer = producer
        self._body = body

    def pauseProducing(self) -> None:
        self._body.is_paused = True
        self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        self._body.is_paused = False
        self._body.stall.touch()
        self._producer.resumeProducing()

    def stopProducing(self) -> None:
        self._producer.stopProducing()


def relay_body(
    request: Request, reply: Reply, stalls: Stalls, seconds: float
) -> Deferred[None]:
    """
    Stream a reply's body to the client and finish the request.

    Fires when the last byte is handed to the connection; fails with
    `TransferBroken` when either side breaks off, or moves nothing for `seconds`,
    after the other has been made to see it.
    """
    return _ReplyBody(request, reply, stalls, seconds).start()


def abort_client(request: Request, *, is_reading: bool = True) -> None:
    """Break the client's connection, so that no half reply looks complete."""
    # It has none after its reply has ended.
    channel: Any = getattr(request, "channel", None)
    if channel is not None:
        goes_on = is_reading and _says_where_it_ends(request)
        break_off(channel.transport, resets=not goes_on)


def _says_where_it_ends(request: Request) -> bool:
    """Tell whether what was sent of a reply says how long it is, or goes in chunks."""
    return bool(request.startedWriting) and (
        bool(request.chunked) or reply_header(request, b"Content-Length") is not None
    )
