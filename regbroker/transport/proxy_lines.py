"""
Connections that begin with a PROXY line: from whom, and what is said of the others.

Twisted reads the line, and closes a connection without a word where there is none.
Here the operator is told of it: a balancer that does not speak PROXY, or somebody who
has found the port.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.protocols.haproxy import proxyEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

from regbroker.transport.accepting import is_behind_proxy
from regbroker.transport.malformed import MalformedRequests


def behind_proxies(
    endpoint: IStreamServerEndpoint,
    is_trusted: Callable[[str], bool],
    malformed: MalformedRequests,
) -> IStreamServerEndpoint:
    """
    Return an endpoint whose connections begin with a PROXY line.

    It is believed from hosts that `is_trusted` takes; all others are hung up on before
    they can say anything. `malformed` is told of them, and of what is no PROXY line.
    """
    # The line comes before everything, TLS included.
    guarded: IStreamServerEndpoint = proxyEndpoint(
        _TrustedEndpoint(endpoint, is_trusted, malformed)
    )
    return guarded


class _Watched(ProtocolWrapper):
    """One connection of a trusted proxy."""

    factory: _TrustedPeers
    _is_told = False

    def dataReceived(self, data: bytes) -> None:
        """Pass on, and see whether it was a PROXY line."""
        super().dataReceived(data)
        reader: Any = self.wrappedProtocol
        if self.disconnecting and not self._is_told:
            self._is_told = True
            if is_behind_proxy(reader.wrappedProtocol):
                peer = getattr(self.getPeer(), "host", "-")
                self.factory.malformed.tell(peer, "no PROXY line, on a proxy: listener")


class _TrustedPeers(WrappingFactory):
    """Hangs up on peers outside some networks, before they can say anything."""

    protocol = _Watched

    def __init__(
        self,
        factory: IProtocolFactory,
        is_trusted: Callable[[str], bool],
        malformed: MalformedRequests,
    ) -> None:
        super().__init__(factory)
        self._is_trusted = is_trusted
        self.malformed = malformed

    def buildProtocol(  # type: ignore[override]
        self, addr: IAddress | None
    ) -> ProtocolWrapper | None:
        """Return None, which closes the connection, for a stranger."""
        host = getattr(addr, "host", None)
        if host is not None and not self._is_trusted(host):
            self.malformed.tell(
                host, "not in trusted-proxies, on a proxy: listener; hung up"
            )
            return None
        return super().buildProtocol(addr)


@implementer(IStreamServerEndpoint)
class _TrustedEndpoint:
    """Listens as another endpoint does, for trusted peers alone."""

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
        """Listen; what a PROXY line says is believed from trusted peers only."""
        guarded = _TrustedPeers(factory, self._is_trusted, self._malformed)
        return self._endpoint.listen(guarded)
