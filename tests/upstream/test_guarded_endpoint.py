"""Which addresses are dialled; more in `test_storages`."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.protocol import Factory, Protocol

from regbroker.errors import RedirectRefused
from regbroker.protocol.origins import Origin
from regbroker.transport.client.trust import Trust
from regbroker.transport.client.way_out import Proxy, WayOut
from regbroker.upstream.guarded_endpoint import guarded_endpoint
from tests.proxycase import SocketTestCase
from tests.watchedtime import WatchedTime

INSIDE = Origin("http", "10.0.0.1", 80)


class GuardTests(SocketTestCase):
    def endpoint(self, trust: Trust, *named: str) -> Any:
        self.time = WatchedTime()
        return guarded_endpoint(
            cast(Any, self.time), trust, INSIDE, named, 5, "write it"
        )

    async def test_inside(self) -> None:
        """An address that is not public is not dialled, and the advice is told."""
        connecting = self.endpoint(Trust()).connect(Factory.forProtocol(Protocol))
        self.time.clock.pump([0.3] * 4)
        error: Any = await self.assertFailure(connecting, RedirectRefused)
        self.assertIn("not public; if it is right, write it", error.why)
        self.assertEqual(self.time.dialled, [])

    async def test_named(self) -> None:
        """One that is named is dialled."""
        connecting = self.endpoint(Trust(), "10.0.0.1").connect(
            Factory.forProtocol(Protocol)
        )
        self.time.clock.pump([0.3] * 4)
        await self.assertFailure(connecting, Exception)
        self.assertEqual(self.time.dialled, [("10.0.0.1", 80)])

    async def test_proxy(self) -> None:
        """Where a proxy dials, the host must look public."""
        proxy = Proxy(Origin("http", "127.0.0.1", 3128))
        trust = Trust(None, WayOut(proxies={"http": proxy}))
        with self.assertRaises(RedirectRefused):
            self.endpoint(trust)
        self.endpoint(trust, "10.0.0.1")
