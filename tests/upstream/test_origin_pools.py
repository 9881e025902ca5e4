"""Pools of connections, one for each origin."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from regbroker.protocol.origins import Origin
from regbroker.transport.bodies.upload import gather_body
from regbroker.transport.client.pool import ConnectionPool
from regbroker.transport.client.reply import Reply
from regbroker.transport.client.trust import Trust
from regbroker.upstream.origin_pools import OriginPools
from tests.proxycase import HeldTime, SocketTestCase
from tests.scripted import ScriptedUpstream
from tests.wire import Wire


class OriginPoolsTests(SocketTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.time = HeldTime()
        self.trust = Trust()
        self.servers = [ScriptedUpstream() for _ in range(3)]
        for server in self.servers:
            server.start()
        self.made: list[Origin] = []
        self.pools = OriginPools(self.make, 2)

    def make(self, origin: Origin) -> ConnectionPool:
        """Make the pool of an origin."""
        if origin.host == "nowhere.test":
            raise ValueError("no server")
        self.made.append(origin)
        endpoint = self.trust.endpoint(self.reactor, origin, 5)
        return ConnectionPool(self.time, origin, endpoint, 5)

    async def tear_down(self) -> None:
        self.pools.close()
        self.assertEqual(self.time.getDelayedCalls(), [])
        for server in self.servers:
            await server.stop()

    def origin(self, server: ScriptedUpstream) -> Origin:
        """Where a server is."""
        return Origin("http", "127.0.0.1", server.port)

    def ask(self, server: ScriptedUpstream) -> Deferred[Reply]:
        """Send a request to a server."""
        pool = self.pools.pool(self.origin(server))
        return pool.request(b"GET", b"/", []).deferred()

    async def asked(self, server: ScriptedUpstream) -> Wire:
        """Send a request to a server, and have it answered."""
        asking = self.ask(server)
        call = await server.call()
        call.reply(200)
        await gather_body(await asking, 9)
        return call.wire

    async def test_kept(self) -> None:
        """An origin keeps its pool, and its connection with it."""
        first, second, _ = self.servers
        for _ in range(2):
            await self.asked(first)
            await self.asked(second)
        self.assertEqual(self.made, [self.origin(first), self.origin(second)])
        self.assertEqual([len(server.wires) for server in self.servers], [1, 1, 0])

    async def test_bounded(self) -> None:
        """The origin that was used longest ago leaves; its connection is closed."""
        first, second, third = self.servers
        await self.asked(first)
        wire = await self.asked(second)
        await self.asked(first)
        await self.asked(third)
        await wire.end()
        self.assertEqual([first.wires[0].lost, third.wires[0].lost], [None, None])

    async def test_busy(self) -> None:
        """A request of an origin that leaves is answered still."""
        first, second, third = self.servers
        asking = self.ask(first)
        call = await first.call()
        await self.asked(second)
        await self.asked(third)
        call.reply(200, body=b"late")
        self.assertEqual(await gather_body(await asking, 9), b"late")
        # The pool that has left still closes what nobody uses.
        self.time.clock.pump([60, 60])
        await call.wire.end()

    async def test_no_pool(self) -> None:
        """What making a pool fails with is told, each time."""
        for _ in range(2):
            with self.assertRaisesRegex(ValueError, "no server"):
                self.pools.pool(Origin("http", "nowhere.test", 80))

    async def test_closed(self) -> None:
        """All connections that nobody uses are closed."""
        wires = [await self.asked(server) for server in self.servers[:2]]
        self.pools.close()
        for wire in wires:
            await wire.end()
