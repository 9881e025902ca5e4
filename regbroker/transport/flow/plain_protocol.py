"""
HTTP without TLS, in few steps, as `regbroker.transport.tls.protocol` does it with TLS.

Twisted's transport keeps what is written for another turn of the reactor, and says
"full" for each chunk of a large body: six system calls more for each of them, and three
more for each small message. What is written as a sequence is gathered already: a whole
message, or a chunk of one. Other small writes stay with the transport, for there they
gather.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.transport.flow.backpressure import (
    READ_BYTES,
    SHARED,
    Backpressure,
    Budget,
)
from regbroker.transport.flow.direct_writes import send_now, socket_below
from regbroker.transport.flow.wide_reads import WideReads
from regbroker.transport.flow.wrapping import WrapperFactory

#: From so many bytes on, a write is not for gathering: it is a part of a body.
DIRECT_BYTES = 16 * 1024


class PlainProtocol(WideReads):
    """One connection: its socket is written to at once, and read in large pieces."""

    factory: PlainFactory

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        self._socket: Any = None
        #: Whether a write has found the connection broken.
        self._is_broken = False
        self._flow = Backpressure(factory.budget)

    def makeConnection(self, transport: ITransport) -> None:
        """Connect the wrapped protocol."""
        self.read_from(transport)
        self._socket = socket_below(transport)
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """Pass on what was read."""
        size = len(data)
        if size >= READ_BYTES or self._steady:
            self.has_read(size)
        self.wrappedProtocol.dataReceived(data)

    def write(self, data: bytes) -> None:
        """Send bytes, in order."""
        if len(data) >= DIRECT_BYTES:
            self.writeSequence((data,))
            return
        self.transport.write(data)
        if self._flow.is_full:
            self._flow.written(len(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send pieces one after the other, and all of them now."""
        pieces = tuple(data)
        if self._socket is not None:
            if not send_now(self._socket, pieces):
                self._is_broken = True
        else:
            self.transport.writeSequence(pieces)
        if self._flow.is_full:
            self._flow.written(sum(map(len, pieces)))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause and resume a producer, as much as fits into memory."""
        self._flow.register(producer, streaming, self.unregisterProducer)
        self.transport.registerProducer(self._flow, True)
        self._flow.start()

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._flow.release()
        self.transport.unregisterProducer()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give back what was counted, and tell the wrapped protocol."""
        self._flow.release()
        if self._is_broken and reason.check(ConnectionDone):
            # What has come until then would be taken for all of a reply without length.
            reason = Failure(ConnectionLost())
        super().connectionLost(reason)


class PlainFactory(WrapperFactory):
    """Puts a `PlainProtocol` in front of the protocols of another factory."""

    protocol = PlainProtocol

    def __init__(self, wrapped: IProtocolFactory, budget: Budget = SHARED) -> None:
        super().__init__(wrapped)
        self.budget = budget


@implementer(IStreamClientEndpoint)
class PlainEndpoint:
    """Dials as another endpoint does, and speaks as above."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fire with the factory's protocol when TCP is connected."""
        plain: Any = PlainFactory(factory)
        connecting: Deferred[Any] = self._endpoint.connect(plain)
        return connecting.addCallback(lambda protocol: protocol.wrappedProtocol)
