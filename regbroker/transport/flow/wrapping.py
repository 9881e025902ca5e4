"""
A protocol for a transport, and a transport for another protocol.

Twisted's `ProtocolWrapper` finds with `__getattr__` what it has not: in CPython 3.11,
each look at any attribute of such an object is slow. It also works out for each
connection what its transport provides, out of some thirty interfaces. Here, all that a
protocol may ask of a transport over TCP is written out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IPushProducer,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(ITCPTransport, IConsumer, IPushProducer)
class Wrapper(Protocol):
    """
    One connection, which passes everything on in both directions.

    `factory` is a `WrapperFactory`, and `wrapped` the protocol whose transport this is.
    It is connected at once, and has gone with the connection.
    """

    factory: Any
    transport: Any
    wrappedProtocol: Any

    def __init__(self, factory: Any, wrapped: Any) -> None:
        self.factory = factory
        self.wrappedProtocol = wrapped
        self.disconnecting = False

    def logPrefix(self) -> str:
        """Return what Twisted's log calls it."""
        return f"{self.wrappedProtocol.logPrefix()} ({type(self).__name__})"

    # From the transport to the wrapped protocol.

    def makeConnection(self, transport: ITransport) -> None:
        """Connect the wrapped protocol."""
        super().makeConnection(transport)
        self.factory.registerProtocol(self)
        self.wrappedProtocol.makeConnection(self)

    def dataReceived(self, data: bytes) -> None:
        """Pass on what has come."""
        self.wrappedProtocol.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Pass on the end, and forget the wrapped protocol, which knows this one."""
        self.factory.unregisterProtocol(self)
        self.wrappedProtocol.connectionLost(reason)
        self.wrappedProtocol = None

    # From the wrapped protocol to the transport: `ITCPTransport`.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send pieces one after the other."""
        self.transport.writeSequence(data)

    def loseConnection(self) -> None:
        """Close when all is sent."""
        self.disconnecting = True
        self.transport.loseConnection()

    def loseWriteConnection(self) -> None:
        """Send no more, and read on."""
        self.transport.loseWriteConnection()

    def abortConnection(self) -> None:
        """Close at once."""
        self.transport.abortConnection()

    def getPeer(self) -> Any:
        """Return the address of the other side."""
        return self.transport.getPeer()

    def getHost(self) -> Any:
        """Return the address of this side."""
        return self.transport.getHost()

    def getTcpNoDelay(self) -> bool:
        """Return whether small packets are sent at once."""
        return bool(self.transport.getTcpNoDelay())

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Send small packets at once, or do not."""
        self.transport.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:
        """Return whether a peer that is silent is asked for a sign of life."""
        return bool(self.transport.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Ask a peer that is silent for a sign of life, or do not."""
        self.transport.setTcpKeepAlive(enabled)

    # `IConsumer`, whose `write` is above.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause and resume a producer as the transport does."""
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self.transport.unregisterProducer()

    # `IPushProducer`.

    def pauseProducing(self) -> None:
        """Read nothing."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Read no more: close."""
        self.transport.stopProducing()


class WrapperFactory(WrappingFactory):
    """Puts a `Wrapper` in front of the protocols of another factory."""

    noisy = False
    protocol: Callable[..., Any] = Wrapper

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return None, which closes the connection, where the other factory does."""
        wrapped = self.wrappedFactory.buildProtocol(addr)
        return None if wrapped is None else self.protocol(self, wrapped)


def lowest(transport: Any) -> Any:
    """Return the transport below all wrappers: the one that has the socket."""
    while isinstance(transport, Wrapper):
        transport = transport.transport
    return transport
