"""
Connections that begin with a PROXY line: from whom, and what is said of the others.

The operator is told of each connection that is closed for its beginning: a balancer
that does not speak PROXY, or somebody who has found the port. Twisted's own wrapper
takes any text as an address, refuses a header that comes in two pieces, and tells
nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from regbroker.protocol.headers import peer_name
from regbroker.protocol.proxy_header import Header, Malformed, Peer, parse_header
from regbroker.transport.flow.wrapping import Wrapper, WrapperFactory
from regbroker.transport.server.malformed import MalformedRequests


@implementer(IStreamServerEndpoint)
class ProxiedEndpoint:
    """
    Listens as another endpoint does, for connections that begin with a PROXY line.

    It is believed from hosts that `is_trusted` takes; all others are hung up on before
    they can say anything. `malformed` is told of them, and of what is no PROXY line.
    """

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        is_trusted: Callable[[str], bool],
        malformed: MalformedRequests,
    ) -> None:
        self._endpoint = endpoint
        self._is_trusted = is_trusted
        self._malformed = malformed

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; the line comes before everything, TLS included."""
        proxied = _ProxiedFactory(factory, self._is_trusted, self._malformed)
        return self._endpoint.listen(proxied)


class _Proxied(Wrapper):
    """One connection of a trusted proxy: its peer is the client of the proxy."""

    factory: _ProxiedFactory
    _header: Header | None = None
    _data = b""

    def dataReceived(self, data: bytes) -> None:
        """Read the line, and pass on what is behind it."""
        if self._header is not None:
            self.wrappedProtocol.dataReceived(data)
            return
        if self.disconnecting:
            return
        self._data += data
        try:
            self._header = parse_header(self._data)
        except Malformed as error:
            peer = peer_name(self.transport.getPeer())
            self.factory.malformed.tell(peer, f"{error}, on a proxy: listener")
            self.loseConnection()
            return
        if self._header is not None and self._header.rest:
            self.wrappedProtocol.dataReceived(self._header.rest)

    def getPeer(self) -> IAddress:
        """Return the client's address, that of the proxy where it says none."""
        found = self._header and self._header.source
        return _address(found) if found else super().getPeer()

    def getHost(self) -> IAddress:
        """Return what the client has connected to, as `getPeer`."""
        found = self._header and self._header.destination
        return _address(found) if found else super().getHost()


def _address(peer: Peer) -> IAddress:
    kind = IPv6Address if ":" in peer.host else IPv4Address
    return kind("TCP", peer.host, peer.port)


class _ProxiedFactory(WrapperFactory):
    """Hangs up on peers outside some networks, before they can say anything."""

    protocol = _Proxied

    def __init__(
        self,
        factory: IProtocolFactory,
        is_trusted: Callable[[str], bool],
        malformed: MalformedRequests,
    ) -> None:
        super().__init__(factory)
        self._is_trusted = is_trusted
        self.malformed = malformed

    def logPrefix(self) -> str:
        """Return what Twisted's log calls it."""
        return "regbroker"

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return None, which closes the connection, for a stranger."""
        host = getattr(addr, "host", None)
        if host is not None and not self._is_trusted(host):
            self.malformed.tell(
                host, "not in trusted-proxies, on a proxy: listener; hung up"
            )
            return None
        # Whose connection it is, and what comes first in it, the line says.
        return super().buildProtocol(None)
