"""Where TLS stands: in front of a factory, and on the way to a server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from regbroker.transport.flow.backpressure import SHARED, Budget
from regbroker.transport.flow.wrapping import WrapperFactory
from regbroker.transport.tls.memory import MemoryTLSProtocol
from regbroker.transport.tls.pending_writes import Deliveries
from regbroker.transport.tls.protocol import TLSProtocol
from regbroker.transport.tls.sockets import SocketTLSProtocol

_DELIVERIES = Deliveries()


class TLSFactory(WrapperFactory):
    """
    Puts TLS in front of the protocols of another factory.

    `options` is an `IOpenSSLServerConnectionCreator`, for `is_client` an
    `IOpenSSLClientConnectionCreator`. `clock` has the turns in which small writes are
    gathered; without it, the reactor that runs.
    """

    protocol: Any = MemoryTLSProtocol

    def __init__(
        self,
        options: IOpenSSLServerConnectionCreator | IOpenSSLClientConnectionCreator,
        is_client: bool,
        wrapped: IProtocolFactory,
        clock: IReactorTime | None = None,
        budget: Budget = SHARED,
    ) -> None:
        super().__init__(wrapped)
        if clock is None:
            from twisted.internet import reactor

            now_running: Any = reactor
            clock = now_running
        assert clock is not None
        self.call_later: Callable[..., IDelayedCall] = clock.callLater
        self.budget = budget
        self.deliveries = _DELIVERIES
        self._options: Any = options
        self.is_client = is_client

    def new_connection(
        self, protocol: TLSProtocol, over: socket.socket | None = None
    ) -> SSL.Connection:
        """
        Return OpenSSL's side of a new connection, with its part chosen.

        It is `over` a socket, or through memory. For the first, `options` has a method
        `connection`, as `regbroker.transport.tls.server_options` has, and
        `regbroker.transport.client.trust`.
        """
        connection: SSL.Connection
        if over is not None:
            connection = self._options.connection(over)
        elif self.is_client:
            connection = self._options.clientConnectionForTLS(protocol)
        else:
            connection = self._options.serverConnectionForTLS(protocol)
        if self.is_client:
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        # Who agrees on a protocol (ALPN) asks for it.
        connection.set_app_data(protocol)
        return connection


@implementer(IStreamClientEndpoint)
class TLSEndpoint:
    """
    Dials as another endpoint does, and speaks TLS; for factories as above.

    With `over_socket`, the other endpoint connects over TCP, and nobody has read from
    the socket then.
    """

    def __init__(
        self,
        options: IOpenSSLClientConnectionCreator,
        endpoint: IStreamClientEndpoint,
        over_socket: bool = False,
    ) -> None:
        self._options = options
        self._endpoint = endpoint
        self._protocol = SocketTLSProtocol if over_socket else MemoryTLSProtocol

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fire with the factory's protocol when TCP is connected."""
        secure: Any = TLSFactory(self._options, True, factory)
        secure.protocol = self._protocol
        connecting: Deferred[Any] = self._endpoint.connect(secure)
        return connecting.addCallback(lambda protocol: protocol.wrappedProtocol)
