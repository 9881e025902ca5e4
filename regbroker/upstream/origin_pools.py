"""Kept connections to several servers: a pool for each origin that was used lately."""

from __future__ import annotations

from collections.abc import Callable

from regbroker.protocol.origins import Origin
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.transport.client.pool import ConnectionPool


class OriginPools:
    """
    Connection pools by origin, for the `max_origins` origins that were used last.

    `make` makes the pool of an origin that has none. A pool that leaves closes the
    connections that nobody uses; the others end when their request is complete.
    """

    def __init__(
        self, make: Callable[[Origin], ConnectionPool], max_origins: int
    ) -> None:
        self._make = make
        self._pools: BoundedMemory[Origin, ConnectionPool] = BoundedMemory(
            max_origins, on_leave=lambda _, pool: pool.close()
        )

    def pool(self, origin: Origin) -> ConnectionPool:
        """Return the pool of an origin; raises what `make` raises."""
        pool = self._pools.use(origin)
        if pool is None:
            pool = self._make(origin)
            self._pools.put(origin, pool)
        return pool

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pools.clear()
