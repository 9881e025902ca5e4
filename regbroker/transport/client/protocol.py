"""
One connection to an upstream, which carries one request at a time.

A reply may come before its request's body is out. It is read to its end then, and
bounded, since nobody takes it yet; with its end the rest of the body is given up, and
the connection too. When the body is out first, the reply is like any other.

Whatever ends a request ends in `connectionLost`, except a reply that is complete.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Protocol

from twisted.internet.error import ConnectionAborted, ConnectionClosed, ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.transport.client.arriving_body import ArrivingBody
from regbroker.transport.client.reply import (
    MalformedReply,
    NoReply,
    Reply,
    ReplyTooLarge,
)
from regbroker.transport.client.reply_parser import ReplyParser
from regbroker.transport.client.request_writer import BodyWriter, IStreamingBody
from regbroker.transport.client.slots import Slots
from regbroker.transport.flow.last_reads import read_before_loss
from regbroker.transport.tls.sockets import SocketTLSProtocol

#: An early reply is an error document. It is read while the request's body is
#: still on its way, without anybody to hold it back.
MAX_EARLY_REPLY_BYTES = 1024 * 1024


class BodyFailed(Exception):
    """The body of a request has failed, with `error`: the server has not."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Outgoing(Protocol):
    """A request, for the connection that carries it."""

    is_head: bool
    message: bytes
    body: IStreamingBody | None

    def replied(self, reply: Reply) -> None:
        """Take the reply; its body may still arrive."""

    def failed(self, error: Exception, is_unanswered: bool) -> None:
        """Note that there is no reply; `is_unanswered` when no byte of one came."""


@implementer(IHandshakeListener)
class UpstreamProtocol(TwistedProtocol):
    """
    One connection to `what`, the server's name for people.

    A request that it carries has one of the `slots`, until the reply's last byte.
    `on_secured` is called when its peer's certificate is verified, or with why it is
    not; `on_idle` when it can be used again, and `on_spilling` when bytes come after a
    reply that are no part of it. `on_lost`, once it is set, is called at its end.
    """

    transport: Any

    def __init__(
        self,
        what: str,
        slots: Slots,
        on_idle: Callable[[UpstreamProtocol], None],
        on_spilling: Callable[[], None],
        on_secured: Callable[[Failure | None], None],
    ) -> None:
        self._what = what
        self._slots = slots
        self._on_idle = on_idle
        self._on_spilling = on_spilling
        self._on_secured: Callable[[Failure | None], None] | None = on_secured
        self.on_lost: Callable[[], None] | None = None
        self._request: Outgoing | None = None
        self._parser: ReplyParser | None = None
        self._arriving: ArrivingBody | None = None
        self._writer: BodyWriter | None = None
        self._early_bytes = 0
        self._is_paused = False
        self._has_spilled = False
        #: Why it is being closed from here.
        self._error: Exception | None = None
        #: Whether its last reply was one that never has a body.
        self.was_bodiless = False
        self.is_open = True
        #: Whether it has waited for a request: the server may have closed it meanwhile.
        self.may_be_stale = False
        #: Seconds of the pool's clock: when it was ready first, and when it was last.
        self.opened = 0.0
        self.idle_since = 0.0

    def connectionMade(self) -> None:
        """Be connected: an early reply is heard, whatever becomes of its request."""
        if not isinstance(self.transport, SocketTLSProtocol):
            # There, nothing is written behind a request's head.
            read_before_loss(self.transport)

    def handshakeCompleted(self) -> None:
        """Note that the peer's certificate has been verified."""
        on_secured, self._on_secured = self._on_secured, None
        if on_secured is not None:
            on_secured(None)

    # The request.

    def send(self, request: Outgoing) -> None:
        """Send a request that has a place."""
        self.may_be_stale = True
        self._request = request
        self._parser = ReplyParser(self._what, request.is_head)
        if request.body is None:
            # All that is written for now, so it need not wait for more.
            self.transport.writeSequence((request.message,))
        else:
            self.transport.write(request.message)
            self._send_body(request.body)

    def _send_body(self, body: IStreamingBody) -> None:
        self._early_bytes = 0
        self._writer = writer = BodyWriter(self.transport, body.length)
        self.transport.registerProducer(body, True)

        def sent(_: object) -> None:
            if self._writer is writer:
                writer.end()
                self._writer = None
                self.transport.unregisterProducer()
                self._tell_reply()

        def failed(failure: Failure) -> None:
            if self._writer is writer:
                error = failure.value
                assert isinstance(error, Exception)
                self._end(BodyFailed(error))

        body.startProducing(writer).addCallback(sent).addErrback(failed)

    def _stop_body(self) -> None:
        """Give up what is left of the request's body."""
        if self._writer is not None:
            self._writer = None
            assert self._request is not None and self._request.body is not None
            self.transport.unregisterProducer()
            self._request.body.stopProducing()

    # The reply.

    def dataReceived(self, data: bytes) -> None:
        """Parse a reply, and pass on what it says."""
        parser = self._parser
        if not self.is_open:
            return
        if parser is None:
            # Between requests nothing may arrive; what does would be taken as
            # the answer to the next request.
            self._spill()
            return
        try:
            body = parser.feed(data)
        except NoReply as error:
            if self.was_bodiless:
                # It belongs to the reply before, mostly the one to a HEAD.
                self._spill()
            else:
                self._end(error)
            return
        except (MalformedReply, ReplyTooLarge) as error:
            self._end(error)
            return
        if parser.continues:
            self._tell_continue(parser)
        reply = parser.reply
        if reply is None:
            return
        if self._arriving is None and parser.is_complete:
            reply.body = body
            self._complete(parser, reply)
        else:
            self._take(parser, reply, body)

    def _tell_continue(self, parser: ReplyParser) -> None:
        parser.continues = False
        request = self._request
        if request is not None and request.body is not None:
            request.body.upstream_continues()

    def _take(self, parser: ReplyParser, reply: Reply, body: bytes) -> None:
        """Take what has come of a reply whose head is here."""
        if self._arriving is None:
            self._arriving = reply.body = ArrivingBody(self)
        if body:
            self._arriving.received(body)
        if parser.is_complete:
            self._complete(parser, reply)
        elif self._writer is None:
            self._tell_reply()
        else:
            self._early_bytes += len(body)
            if self._early_bytes > MAX_EARLY_REPLY_BYTES:
                self._end(
                    ReplyTooLarge(
                        f"more than {MAX_EARLY_REPLY_BYTES} bytes before the "
                        "request's body was complete"
                    )
                )

    def _tell_reply(self) -> None:
        """Tell of the reply, if it has begun and nobody knows of it."""
        request, arriving, parser = self._request, self._arriving, self._parser
        if request is None or arriving is None:
            return
        self._request = None
        assert parser is not None and parser.reply is not None
        request.replied(parser.reply)
        arriving.hold()

    def _complete(self, parser: ReplyParser, reply: Reply) -> None:
        """Let go of a reply that is complete; the connection may serve the next one."""
        request, arriving = self._request, self._arriving
        is_early = self._writer is not None
        if is_early:
            self._stop_body()
        self._request = self._parser = self._arriving = None
        self.was_bodiless = parser.is_bodiless
        if self._is_paused:
            self.resume()
        if parser.spills:
            self._spill()
        elif is_early:
            self._end(ConnectionAborted())
        elif not parser.is_persistent:
            self.close()
        if self.is_open:
            # It may carry another request from here on.
            self._on_idle(self)
        self._slots.free()
        if arriving is not None:
            arriving.completed()
        if request is not None:
            request.replied(reply)

    # The end.

    def give_up(self) -> None:
        """Close the connection at once; nobody waits for its request any more."""
        self._stop_body()
        self._request = None
        self._end(ConnectionAborted())

    def close(self) -> None:
        """Close the connection, which carries no request."""
        self.is_open = False
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close the connection at once: the rest of the reply is not wanted."""
        self._end(ConnectionAborted())

    def pause(self) -> None:
        """Read no more for now."""
        if not self._is_paused:
            self._is_paused = True
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        if self._is_paused:
            self._is_paused = False
            if self.is_open:
                self.transport.resumeProducing()

    def _spill(self) -> None:
        self._has_spilled = True
        self._on_spilling()
        self._end(ConnectionAborted())

    def _end(self, error: Exception) -> None:
        """Close the connection for this reason, unless there is one already."""
        if self._error is None:
            self._error = error
            self.is_open = False
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End what the connection has carried."""
        self.is_open = False
        if self.on_lost is not None:
            self.on_lost()
        if self._parser is not None:
            self._slots.free()
        if self._on_secured is not None:
            on_secured, self._on_secured = self._on_secured, None
            on_secured(reason)
        was_sending = self._writer is not None
        self._stop_body()
        request, parser, arriving = self._request, self._parser, self._arriving
        self._request = self._parser = self._arriving = None
        error = self._error or reason.value
        if isinstance(error, ConnectionClosed):
            # Twisted's is one object for all connections. Raised where somebody awaits
            # a body, it would keep the frames of that, for each connection more.
            error = copy(error)
        assert isinstance(error, Exception)
        if parser is None:
            return
        if arriving is None or isinstance(error, BodyFailed):
            if request is not None:
                request.failed(error, parser.is_untouched or self._has_spilled)
            return
        if request is not None and was_sending:
            # The reply has begun, and that the upstream has said it counts for
            # more than that it did not wait for the rest of the request.
            assert parser.reply is not None
            request.replied(parser.reply)
        if parser.ends_with_connection and reason.check(ConnectionDone):
            arriving.completed()
        else:
            arriving.broke_off(error)
