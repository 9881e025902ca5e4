"""Which connections to an upstream a request gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regbroker.protocol.origins import Origin
from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.client.bytes_body import BytesBody
from regbroker.transport.client.connections import connections_to
from regbroker.transport.client.trust import Trust
from regbroker.transport.client.way_out import Proxy, WayOut
from regbroker.transport.flow.stalls import Stalls
from regbroker.transport.tls.memory import MemoryTLSProtocol
from regbroker.transport.tls.sockets import SocketTLSProtocol
from tests.askingcase import AskingTestCase
from tests.certificates import authority, issued
from tests.connectionscase import BodyByHand
from tests.scripted import ScriptedUpstream, response


class KindsCase(AskingTestCase):
    scheme = "https"

    def make_upstream(self) -> ScriptedUpstream:
        pair = issued("127.0.0.1")
        return ScriptedUpstream(tls=certificate_options(pair.certificate, pair.key))

    async def set_up(self) -> None:
        await super().set_up()
        path = Path(self.mktemp())
        path.write_bytes(authority().certificate)
        origin = Origin(self.scheme, "127.0.0.1", self.upstream.port)
        self.pool: Any = connections_to(
            self.reactor, origin, Trust(path), 5, Stalls(self.reactor)
        )

    async def tear_down(self) -> None:
        self.pool.close()
        await super().tear_down()

    async def answered(self, body: Any = None) -> None:
        """Send a request, and have it answered."""
        asking = self.pool.request(b"PUT", b"/x", [], body).deferred()
        if isinstance(body, BodyByHand):
            (await body.started).write(b"x" * body.length)
            body.done.callback(None)
        (await self.upstream.call()).answer(response(201))
        self.assertEqual((await asking).status, 201)


class TLSTests(KindsCase):
    async def test_kinds(self) -> None:
        """What streams goes through memory, all else over the socket."""
        for body in None, BytesBody(b"in memory"), None:
            await self.answered(body)
        self.assertEqual(len(self.upstream.wires), 1)
        (kept,) = self.pool._idle
        self.assertIsInstance(kept.transport, SocketTLSProtocol)
        for _ in range(2):
            await self.answered(BodyByHand(5))
        self.assertEqual(len(self.upstream.wires), 2)
        (kept,) = self.pool._for_bodies._idle
        self.assertIsInstance(kept.transport, MemoryTLSProtocol)

    async def test_places(self) -> None:
        """Both share the places of the upstream."""
        self.assertIs(self.pool.slots, self.pool._for_bodies.slots)


class TunnelTests(KindsCase):
    async def test_one_kind(self) -> None:
        """Behind a proxy, too, all goes through memory: the tunnel was read before."""
        origin = Origin("https", "127.0.0.1", 1)
        proxy = Proxy(Origin("http", "127.0.0.1", 2))
        trust = Trust(way=WayOut(proxies={"https": proxy}))
        self.assertFalse(trust.may_use_socket(origin))
        stalls = Stalls(self.reactor)
        pool = connections_to(self.reactor, origin, trust, 5, stalls)
        self.assertIsNone(pool._for_bodies)


class PlainTests(KindsCase):
    scheme = "http"

    def make_upstream(self) -> ScriptedUpstream:
        return ScriptedUpstream()

    async def test_one_kind(self) -> None:
        """Without TLS there is no difference."""
        await self.answered()
        await self.answered(BodyByHand(5))
        self.assertEqual(len(self.upstream.wires), 1)
