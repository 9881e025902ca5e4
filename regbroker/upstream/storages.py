"""Connections to the servers that an upstream redirects to."""

from __future__ import annotations

from collections.abc import Iterable

from regbroker.causes import Side
from regbroker.protocol.headers import Header
from regbroker.protocol.origins import Origin
from regbroker.protocol.urls import Url
from regbroker.runtime.outcome import Outcome
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.client.pool import ConnectionPool
from regbroker.transport.client.reply import Reply
from regbroker.transport.client.trust import Trust
from regbroker.transport.flow.stalls import Stalls
from regbroker.upstream.guarded_endpoint import guarded_endpoint
from regbroker.upstream.origin_pools import OriginPools

#: A registry's content lies in a few buckets or regions. Each origin has its
#: TLS options and its warm connections.
MAX_ORIGINS = 32

#: How a client is told of such a server: its name is nobody's business.
STORAGE = Side.STORAGE.value


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
        stalls: Stalls,
    ) -> None:
        self._reactor = reactor
        self._trust = trust
        self._named_hosts = frozenset(named_hosts)
        self._connect_timeout = connect_timeout
        self._stalls = stalls
        self._pools = OriginPools(self._new_pool, MAX_ORIGINS)

    def request(
        self, method: str, url: Url, headers: Iterable[Header]
    ) -> Outcome[Reply]:
        """
        Ask for a URL; the outcome is the reply, when its headers are in.

        Raises `RedirectRefused` for a host that may not be dialled, or fails with it
        when the host's addresses are known. Fails otherwise as
        `ConnectionPool.request`.
        """
        pool = self._pools.pool(url.origin)
        return pool.request(method.encode(), url.target.encode("ascii"), headers)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pools.close()

    def _new_pool(self, origin: Origin) -> ConnectionPool:
        endpoint = guarded_endpoint(
            self._reactor,
            self._trust,
            origin,
            self._named_hosts,
            self._connect_timeout,
            f"write 'redirect-hosts = {origin.host}'",
        )
        return ConnectionPool(
            self._reactor,
            origin,
            endpoint,
            self._connect_timeout,
            STORAGE,
            stalls=self._stalls,
        )
