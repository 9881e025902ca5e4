"""
Accepting connections up to the limits, and refusing the others.

A connection counts when the kernel has accepted it, so a TLS handshake that never ends
counts, too. Beyond the limits, the first request of a connection is answered with 503.
If many connections are being refused, the next ones are closed at once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocolFactory,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from regbroker.transport.flow.wrapping import Wrapper, WrapperFactory
from regbroker.transport.listening.connection_limits import Refusal
from regbroker.transport.listening.entrance import MAX_ANSWERED_REFUSALS, Entrance
from regbroker.transport.server.streaming_channel import (
    FIRST_REQUEST_SECONDS,
    StreamingChannel,
)

#: Seconds that clients have to read their last reply when regbroker is stopped.
STOP_SECONDS = 2.0


class _Hangup(Protocol):
    """Closes a connection that there is no room for."""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class _Waiting(Protocol):
    """The place of a client's protocol until a proxy has sent the client's address."""

    def __init__(self, reactor: IReactorTime, seconds: float) -> None:
        self._seconds = seconds
        self._timer = reactor.callLater(seconds, self._too_late)

    def wait_less(self) -> None:
        """Wait only as long as a client is waited for when regbroker stops."""
        if self._timer.active():
            self._timer.reset(min(self._seconds, FIRST_REQUEST_SECONDS))

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer.active():
            self._timer.cancel()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.stop()

    def _too_late(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class _Accepted(Wrapper):
    """One connection that counts."""

    factory: AcceptingFactory

    def __init__(
        self, factory: Any, wrapped: Any, place: str | None, is_refusal: bool
    ) -> None:
        super().__init__(factory, wrapped)
        self._place = place
        self._is_refusal = is_refusal

    def makeConnection(self, transport: ITransport) -> None:
        """Count, and go on."""
        entrance = self.factory.entrance
        if self._is_refusal:
            entrance.answered_refusals += 1
        else:
            entrance.occupancy.enter(self._place)
        super().makeConnection(transport)
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            alsoProvides(self, IHalfCloseableProtocol)
        self.factory.admitted(self)

    @property
    def channel(self) -> StreamingChannel | None:
        """What speaks HTTP here; None before a proxy has sent the client's address."""
        inner = self.wrappedProtocol
        while isinstance(inner, Wrapper):
            inner = inner.wrappedProtocol
        return inner if isinstance(inner, StreamingChannel) else None

    def wind_down(self, is_stopping: bool) -> None:
        """End it with its next reply."""
        if self.channel is not None:
            self.channel.wind_down(is_stopping)

    def close(self) -> None:
        """Close it in order: what was written is sent, with TLS's own end."""
        if self.channel is not None:
            self.channel.loseConnection()
        else:
            self.loseConnection()

    def abort(self) -> None:
        """Close it at once."""
        above = self.wrappedProtocol
        (above if isinstance(above, Wrapper) else self.transport).abortConnection()

    def readConnectionLost(self) -> None:
        """Pass on that the client sends no more."""
        self.wrappedProtocol.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """Pass on that nothing more can be sent."""
        self.wrappedProtocol.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count it no more."""
        entrance = self.factory.entrance
        if self._is_refusal:
            entrance.answered_refusals -= 1
        else:
            entrance.occupancy.leave(self._place)
        super().connectionLost(reason)
        self.factory.gone()


class _AcceptedBehindProxy(_Accepted):
    """One whose address is known when its first bytes come, after the PROXY line."""

    _waiting: _Waiting | None = None

    def makeConnection(self, transport: ITransport) -> None:
        """Count it in the total, and wait."""
        if isinstance(self.wrappedProtocol, _Waiting):
            self._waiting = self.wrappedProtocol
        super().makeConnection(transport)

    def wind_down(self, is_stopping: bool) -> None:
        """End it with its next reply; its client may not be known yet."""
        if self._waiting is not None and is_stopping:
            self._waiting.wait_less()
        super().wind_down(is_stopping)

    def dataReceived(self, data: bytes) -> None:
        """Look at the address before anything else."""
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None
            self._admit()
        self.wrappedProtocol.dataReceived(data)

    def _admit(self) -> None:
        entrance = self.factory.entrance
        place = entrance.place(self.getPeer())
        why = entrance.occupancy.refusal_of(place)
        if why is None:
            entrance.occupancy.belongs_to(place)
            self._place = place
        else:
            entrance.refused(why, place)
            if entrance.answered_refusals < MAX_ANSWERED_REFUSALS:
                entrance.occupancy.leave(None)
                entrance.answered_refusals += 1
                self._is_refusal = True
        self.wrappedProtocol = self.factory.protocol_for(why, self._is_refusal)
        self.wrappedProtocol.makeConnection(self)
        self.factory.admitted(self)


class AcceptingFactory(WrapperFactory):
    """
    Counts the connections of one listener.

    `wrapped` serves clients, and `refusing` answers those that are beyond the limits.
    With `behind_proxy`, addresses are known when the first bytes come.
    """

    def __init__(
        self,
        entrance: Entrance,
        wrapped: IProtocolFactory,
        refusing: Any,
        behind_proxy: bool = False,
    ) -> None:
        super().__init__(wrapped)
        self.entrance = entrance
        self._refusing = refusing
        self._behind_proxy = behind_proxy
        self._all_gone: list[Deferred[None]] = []
        self._is_winding_down = self._is_stopping = False

    def logPrefix(self) -> str:
        """Return what Twisted's log calls it."""
        return "regbroker"

    def replace(self, wrapped: Any, refusing: Any) -> None:
        """Serve new connections with other factories; the others go on as they are."""
        before = self.wrappedFactory
        if self.numPorts:
            wrapped.doStart()
            before.doStop()
        self.wrappedFactory, self._refusing = wrapped, refusing

    def wind_down(self, is_stopping: bool = False) -> None:
        """
        Let each connection end with its next reply: those to come, too.

        If regbroker `is_stopping`, clients have less time to ask for something.
        """
        self._is_winding_down = True
        self._is_stopping = self._is_stopping or is_stopping
        for connection in list(self.protocols):
            connection.wind_down(self._is_stopping)

    def admitted(self, connection: _Accepted) -> None:
        """Note that a connection has its protocol."""
        if self._is_winding_down:
            connection.wind_down(self._is_stopping)

    def when_empty(self) -> Deferred[None]:
        """Return what fires when there is no connection."""
        if not self.protocols:
            return succeed(None)
        empty: Deferred[None] = Deferred()
        self._all_gone.append(empty)
        return empty

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return None, which closes the connection, when too many are being refused."""
        entrance = self.entrance
        place = None if self._behind_proxy else entrance.place(addr)
        why = entrance.occupancy.refusal(place)
        if why is None:
            if self._behind_proxy:
                waiting = _Waiting(entrance.reactor, entrance.silence)
                return _AcceptedBehindProxy(self, waiting, None, False)
            return _Accepted(
                self, self.wrappedFactory.buildProtocol(addr), place, False
            )
        entrance.refused(why, place)
        is_answered = entrance.answered_refusals < MAX_ANSWERED_REFUSALS
        if not (is_answered or self._behind_proxy):
            return None
        return _Accepted(self, self.protocol_for(why, is_answered), place, True)

    def protocol_for(self, why: Refusal | None, is_answered: bool) -> Any:
        """Return the protocol of a connection: served, answered with 503, or closed."""
        if why is None:
            return self.wrappedFactory.buildProtocol(None)
        return self._refusing.buildProtocol(None) if is_answered else _Hangup()

    def gone(self) -> None:
        """Note that a connection has ended."""
        if not self.protocols:
            all_gone, self._all_gone = self._all_gone, []
            for each in all_gone:
                each.callback(None)

    def close(self) -> Deferred[None]:
        """
        Close all connections; fires when there is none.

        What was written is sent, as far as clients take it within `STOP_SECONDS`.
        """
        for connection in list(self.protocols):
            connection.close()
        if not self.protocols:
            return succeed(None)
        timer = self.entrance.reactor.callLater(STOP_SECONDS, self._abort)

        def over(_: None) -> None:
            if timer.active():
                timer.cancel()

        return self.when_empty().addCallback(over)

    def _abort(self) -> None:
        for connection in list(self.protocols):
            connection.abort()
