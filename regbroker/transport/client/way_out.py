"""
The way to the servers of one upstream: directly, through a proxy, or by a unix socket.

A name is resolved for each connection. Twisted's `HostnameEndpoint` then tries all of
its addresses, IPv6 and IPv4, one after the other, and keeps the first connection that
it gets (RFC 8305).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from regbroker.protocol.no_proxy import is_without_proxy
from regbroker.protocol.origins import UNIX_ORIGIN, Origin
from regbroker.runtime.reactor import INetworkReactor


def _no_credentials() -> bytes:
    return b""


@dataclass(frozen=True)
class Proxy:
    """
    An HTTP proxy.

    `credentials` returns the value of Proxy-Authorization, or nothing for none; it
    raises `ValueError` when there should be one.
    """

    origin: Origin
    credentials: Callable[[], bytes] = field(default=_no_credentials, repr=False)


@dataclass(frozen=True, kw_only=True)
class WayOut:
    """
    How servers are reached.

    `proxies` are those for ``http`` and ``https``; a scheme without one, and what
    `no_proxy` names, is reached directly. `socket` is the unix socket behind which
    `UNIX_ORIGIN` is.
    """

    proxies: Mapping[str, Proxy] = field(default_factory=dict)
    no_proxy: str = ""
    socket: PurePath | None = None

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """Return the proxy through which a server is reached; None for none."""
        proxy = self.proxies.get(origin.scheme)
        if proxy is None or is_without_proxy(origin, self.no_proxy):
            return None
        return proxy

    def endpoint(
        self, reactor: INetworkReactor, origin: Origin, connect_timeout: float
    ) -> IStreamClientEndpoint:
        """Return what connects to a server, without TLS."""
        if self.socket is not None and origin == UNIX_ORIGIN:
            loop: Any = reactor
            # Twisted counts whole seconds there.
            return UNIXClientEndpoint(
                loop, str(self.socket), max(1, int(connect_timeout))
            )
        proxy = self.proxy_for(origin)
        if proxy is None:
            return _endpoint(reactor, origin, connect_timeout)
        # Not every configuration has a proxy, and its parser takes long to load.
        from regbroker.transport.client.tunnel import TunnelEndpoint

        return TunnelEndpoint(
            reactor,
            _endpoint(reactor, proxy.origin, connect_timeout),
            proxy.origin,
            origin,
            proxy.credentials,
            connect_timeout,
        )


def _endpoint(
    reactor: INetworkReactor, origin: Origin, connect_timeout: float
) -> IStreamClientEndpoint:
    endpoint: IStreamClientEndpoint = HostnameEndpoint(
        reactor, origin.host, origin.port, connect_timeout
    )
    return endpoint


#: Straight to everybody.
DIRECT = WayOut()
