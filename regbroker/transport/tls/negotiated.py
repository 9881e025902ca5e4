"""What the handshake of a connection has agreed on, and with whom."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import INegotiated, ISystemHandle
from zope.interface import implementer

from regbroker.transport.flow.wrapping import Wrapper


@implementer(ISystemHandle, INegotiated)
class Negotiated(Wrapper):
    """A connection over TLS, which shows what Twisted's own shows of it."""

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        #: pyOpenSSL's connection, from `makeConnection` to `connectionLost`.
        self._connection: Any = None
        #: The version of TLS, once the handshake is over: ``TLSv1.3`` for example.
        self.version = ""

    def getHandle(self) -> SSL.Connection:
        """Return pyOpenSSL's connection."""
        connection: SSL.Connection = self._connection
        return connection

    def getPeerCertificate(self) -> Any:
        """Return the peer's certificate as pyOpenSSL has it; None without one."""
        return self._connection.get_peer_certificate()

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """What ALPN has agreed on."""
        if self._connection is None:
            return None
        return self._connection.get_alpn_proto_negotiated() or None


def tls_version(transport: object) -> str:
    """Return the version of TLS as the log has it; empty without TLS."""
    return transport.version if isinstance(transport, Negotiated) else ""
