"""
Connections to the servers that an upstream redirects to.

Their names come out of Locations, and whoever answers for a name chooses its
addresses, another one each time if he likes. So the address is looked at where
it is dialled, after everything that could still change it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from twisted.internet.interfaces import IReactorPluggableNameResolver
from zope.interface import directlyProvides

from regbroker.causes import Side
from regbroker.errors import RedirectRefused
from regbroker.protocol.addresses import is_public, is_public_host
from regbroker.protocol.headers import Header
from regbroker.protocol.origins import Origin
from regbroker.protocol.urls import Url
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.client import ConnectionPool
from regbroker.transport.client_reply import Reply
from regbroker.transport.trust import Trust
from regbroker.upstream.origin_pools import OriginPools

#: A registry's content lies in a few buckets or regions. Each origin has its
#: TLS options and its warm connections.
MAX_ORIGINS = 32

#: How a client is told of such a server: its name is nobody's business.
STORAGE = Side.STORAGE.value


class PublicOnly:
    """
    What an endpoint needs of a reactor, for dialling one host.

    The last gate: `connectTCP` is given an address, and refuses it when it is
    not public.
    """

    def __init__(self, reactor: INetworkReactor, host: str) -> None:
        self._reactor = reactor
        self._host = host
        self.callLater = reactor.callLater
        self.seconds = reactor.seconds
        directlyProvides(self, IReactorPluggableNameResolver)

    @property
    def nameResolver(self) -> Any:
        """Who resolves names for the reactor."""
        return self._reactor.nameResolver

    def connectTCP(self, host: str, port: int, *others: Any, **named: Any) -> Any:
        """Dial a public address; raises `RedirectRefused` for others."""
        if not is_public(host):
            raise RedirectRefused(
                f"the address of {self._host}, {host}, is not public; if it is "
                f"right, write 'redirect-hosts = {self._host}'"
            )
        return self._reactor.connectTCP(host, port, *others, **named)


class Storages:
    """
    The servers that one upstream redirects to.

    `named_hosts` may have any address, all others public ones only. Connections
    are kept by origin, for the `MAX_ORIGINS` origins that were used last.
    """

    def __init__(
        self,
        reactor: INetworkReactor,
        trust: Trust,
        named_hosts: Iterable[str],
        connect_timeout: float,
    ) -> None:
        self._reactor = reactor
        self._trust = trust
        self._named_hosts = frozenset(named_hosts)
        self._connect_timeout = connect_timeout
        self._pools = OriginPools(self._new_pool, MAX_ORIGINS)

    async def request(self, method: str, url: Url, headers: Iterable[Header]) -> Reply:
        """
        Ask for a URL; return the reply when its headers are in.

        Raises `RedirectRefused` when its host has no address that may be
        dialled, and otherwise as `ConnectionPool.request`.
        """
        pool = self._pools.pool(url.origin)
        return await pool.request(method.encode(), url.target.encode("ascii"), headers)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pools.close()

    def _new_pool(self, origin: Origin) -> ConnectionPool:
        reactor = self._reactor
        is_named = origin.host in self._named_hosts
        if self._trust.has_proxy(origin):
            # Only the proxy knows the address.
            if not (is_named or is_public_host(origin.host)):
                raise RedirectRefused(
                    f"{origin.host} does not look public; if it is right, write "
                    f"'redirect-hosts = {origin.host}'"
                )
        elif not is_named:
            reactor = cast(INetworkReactor, PublicOnly(reactor, origin.host))
        try:
            endpoint = self._trust.new_endpoint(reactor, origin, self._connect_timeout)
        except ValueError:
            raise RedirectRefused(f"no server can be called {origin.host}") from None
        return ConnectionPool(
            self._reactor, origin, endpoint, self._connect_timeout, STORAGE
        )
