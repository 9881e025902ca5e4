"""
The connections to an upstream: some for requests without a body, others for uploads.

An upstream may refuse an upload in the middle of it, and close its connection. Its
answer is read nevertheless, for which TLS goes through memory. What is not uploaded
takes fewer steps over the socket itself (`regbroker.transport.tls.sockets`).
"""

from __future__ import annotations

from regbroker.protocol.origins import Origin
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.client.errors import UPSTREAM
from regbroker.transport.client.pool import (
    MAX_BUSY_CONNECTIONS,
    MAX_WAITING_REQUESTS,
    ConnectionPool,
)
from regbroker.transport.client.slots import Slots
from regbroker.transport.client.trust import Trust
from regbroker.transport.flow.stalls import Stalls


def connections_to(
    reactor: INetworkReactor,
    origin: Origin,
    trust: Trust,
    connect_timeout: float,
    stalls: Stalls,
) -> ConnectionPool:
    """
    Return the connections to an upstream; both kinds share its places.

    Where it makes no difference, there is one kind. `connect_timeout` is in seconds.
    `stalls` give up requests in which nothing moves.
    """
    slots = Slots(MAX_BUSY_CONNECTIONS, MAX_WAITING_REQUESTS, UPSTREAM)

    def pool(sends_bodies: bool, for_bodies: ConnectionPool | None) -> ConnectionPool:
        endpoint = trust.endpoint(reactor, origin, connect_timeout, sends_bodies)
        return ConnectionPool(
            reactor,
            origin,
            endpoint,
            connect_timeout,
            slots=slots,
            stalls=stalls,
            for_bodies=for_bodies,
        )

    if trust.may_use_socket(origin):
        return pool(False, pool(True, None))
    return pool(True, None)
