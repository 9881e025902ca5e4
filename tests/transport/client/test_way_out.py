"""The way to a server: its addresses, a proxy, a unix socket."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.origins import UNIX_ORIGIN, Origin
from regbroker.transport.bodies.upload import gather_body
from regbroker.transport.client.pool import MAX_AGE_SECONDS, ConnectionPool
from regbroker.transport.client.trust import Trust
from regbroker.transport.client.tunnel import TunnelEndpoint
from regbroker.transport.client.way_out import DIRECT, Proxy, WayOut
from tests.proxycase import HeldTime, SocketTestCase
from tests.scripted import ScriptedUpstream
from tests.watchedtime import WatchedTime


class NamesTests(SocketTestCase):
    """The upstream by a name whose addresses the test says."""

    time: Any

    async def set_up(self) -> None:
        await super().set_up()
        self.upstream = ScriptedUpstream()
        self.upstream.start()
        self.time = WatchedTime()
        origin = Origin("http", "registry.test", self.upstream.port)
        endpoint = Trust().endpoint(self.time, origin, 5)
        self.pool = ConnectionPool(self.time, origin, endpoint, 5)

    async def tear_down(self) -> None:
        self.pool.close()
        await self.upstream.stop()

    async def pulled(self, *advance: float) -> Any:
        """The upstream's side of the connection that a request came on."""
        asking = self.pool.request(b"GET", b"/", [])
        calling = self.upstream.call()
        for seconds in advance:
            await self.turn()
            self.time.clock.advance(seconds)
        call = await calling
        call.reply(200)
        await gather_body(await asking, 10)
        return call.wire

    async def test_tried_in_turn(self) -> None:
        """An address where nobody listens is passed over."""
        addresses = ["203.0.113.1", "203.0.113.2", "127.0.0.1"]
        self.time.names["registry.test"] = [addresses]
        await self.pulled(0.3, 0.3, 0.3)
        self.assertEqual([host for host, _ in self.time.dialled], addresses)

    async def test_changed(self) -> None:
        """A connection in constant use is given up, so that a new answer counts."""
        self.time.names["registry.test"] = [["127.0.0.1"], ["198.51.100.1"]]
        self.time.routes["198.51.100.1"] = "127.0.0.1"
        wire = await self.pulled()
        self.time.clock.advance(MAX_AGE_SECONDS / 2)
        self.assertIs(await self.pulled(), wire)
        self.time.clock.advance(MAX_AGE_SECONDS / 2 + 1)
        self.assertIsNot(await self.pulled(), wire)
        dialled = [host for host, _ in self.time.dialled]
        self.assertEqual(dialled, ["127.0.0.1", "198.51.100.1"])


class WayOutTests(SynchronousTestCase):
    reactor: Any = HeldTime()
    https = Origin("https", "a.test", 443)
    http = Origin("http", "b.test", 5000)

    def test_direct(self) -> None:
        """Without a proxy there is none for anybody."""
        self.assertIsNone(DIRECT.proxy_for(self.https))

    def test_by_scheme(self) -> None:
        """Each scheme has its own proxy, or none; exceptions are reached directly."""
        proxy = Proxy(Origin("http", "proxy.test", 3128))
        way = WayOut(proxies={"https": proxy}, no_proxy="x.test")
        self.assertIs(way.proxy_for(self.https), proxy)
        self.assertIsNone(way.proxy_for(self.http))
        self.assertIsNone(way.proxy_for(Origin("https", "x.test", 443)))
        endpoint = way.endpoint(self.reactor, self.https, 5)
        self.assertIsInstance(endpoint, TunnelEndpoint)
        endpoint = way.endpoint(self.reactor, self.http, 5)
        self.assertNotIsInstance(endpoint, TunnelEndpoint)

    def test_socket(self) -> None:
        """The socket is for the upstream itself; its token service is elsewhere."""
        way = WayOut(socket=PurePath("/run/s"))
        endpoint = way.endpoint(self.reactor, UNIX_ORIGIN, 0.5)
        self.assertIsInstance(endpoint, UNIXClientEndpoint)
        endpoint = way.endpoint(self.reactor, self.https, 5)
        self.assertNotIsInstance(endpoint, UNIXClientEndpoint)

    def test_secret(self) -> None:
        """What is logged of a proxy tells no credentials."""
        proxy = Proxy(Origin("http", "proxy.test", 3128), lambda: b"Basic c2VjcmV0")
        self.assertNotIn("credentials", repr(proxy))
