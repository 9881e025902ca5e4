"""Connections that are too many, and handshakes that never end."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from regbroker.transport.listening.accepting import STOP_SECONDS, AcceptingFactory
from regbroker.transport.listening.connection_limits import ConnectionLimits, Refusal
from regbroker.transport.listening.entrance import (
    ANSWERED_REFUSAL_SECONDS,
    MAX_ANSWERED_REFUSALS,
    TELL_SECONDS,
    Entrance,
)
from regbroker.transport.server.streaming_channel import FIRST_REQUEST_SECONDS
from tests.certificates import Looking
from tests.proxycase import BLOB, ProxyTestCase
from tests.scripted import response
from tests.wire import RawClient

HERE = "127.0.0.1"
FROM = b"PROXY TCP4 %s 192.0.2.1 1234 443\r\n"
FROM_6 = b"PROXY TCP6 %s 2001:db8::1 1234 443\r\n"


class LimitedTestCase(ProxyTestCase):
    """Two connections from one address, three in all."""

    main = "max-connections = 3\nmax-connections-per-address = 2"

    async def set_up(self) -> None:
        self.lines: list[str] = []
        observe: Any = self.note
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        await super().set_up()

    def note(self, event: Any) -> None:
        """Keep what is said of refusals."""
        if event.get("log_namespace") == "regbroker.transport.listening.entrance":
            self.lines.append(formatEvent(event))

    @property
    def entrance(self) -> Entrance:
        """Where connections are counted."""
        entrance = self.services[0].entrance
        assert entrance is not None
        return entrance

    async def served(self, client: RawClient, connection: bytes | None = None) -> None:
        """A client is served, and told this of its connection: to keep it."""
        client.request("GET", BLOB)
        (await self.upstream.call()).answer(response(200))
        reply = await client.reply()
        self.assertEqual((reply.status, reply.header(b"Connection")), (200, connection))

    async def assert_refused(self, client: RawClient) -> None:
        """A client hears why it is not served, and its connection ends."""
        calls = len(self.upstream.calls)
        reply = await client.ask("GET", BLOB)
        self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
        self.assertIn("too many connections", reply.message)
        self.assertEqual(reply.header(b"Connection"), b"close")
        self.assertEqual(reply.header(b"Retry-After"), b"10")
        await client.end()
        self.assertTrue(client.closed_in_order)
        self.assertEqual(len(self.upstream.calls), calls)

    async def occupied(self, total: int, refused: int = 0) -> None:
        """Wait until so many connections count."""
        while (self.entrance.occupancy.total, self.entrance.answered_refusals) != (
            total,
            refused,
        ):
            await self.turn()


class PerAddressTests(LimitedTestCase):
    async def test_refused(self) -> None:
        """The third connection is refused; the first two are served still."""
        second = await self.connect()
        await self.served(second)
        for _ in range(3):
            await self.assert_refused(await self.connect())
        await self.served(self.client)
        await self.occupied(2)

    async def test_room_again(self) -> None:
        """Whoever leaves makes room."""
        second = await self.connect()
        await self.assert_refused(await self.connect())
        second.close()
        await self.occupied(1)
        await self.served(await self.connect())

    async def test_log(self) -> None:
        """The first refusal is logged at once, all others once a minute."""
        await self.connect()
        for _ in range(5):
            await self.assert_refused(await self.connect())
        first = (
            "refused connections: 1 beyond max-connections-per-address = 2; "
            "1 from 127.0.0.1"
        )
        self.assertEqual(self.lines, [first])
        self.time.clock.advance(TELL_SECONDS)
        self.assertEqual(
            self.lines[1:],
            [first.replace("1 beyond", "4 beyond").replace("1 from", "4 from")],
        )
        self.time.clock.pump([TELL_SECONDS] * 3)
        self.assertEqual(len(self.lines), 2)
        await self.occupied(0)
        for _ in range(2):
            await self.connect()
        await self.assert_refused(await self.connect())
        self.assertEqual(self.lines[2:], [first])

    async def test_log_at_the_end(self) -> None:
        """Refusals that are not logged yet when regbroker stops are logged then."""
        await self.connect()
        for _ in range(3):
            await self.assert_refused(await self.connect())
        self.assertEqual(len(self.lines), 1)
        await self.stop(self.services[0])
        self.assertIn(" 2 beyond", self.lines[1])

    async def test_silent(self) -> None:
        """A refused client that sends no request is not waited for long."""
        await self.connect()
        third = await self.connect()
        await self.occupied(2, 1)
        self.time.clock.advance(ANSWERED_REFUSAL_SECONDS)
        self.assertEqual(await third.end(), b"")
        await self.occupied(2)

    async def test_upload(self) -> None:
        """A body on its way is not read for long either."""
        await self.connect()
        third = await self.connect()
        third.request("PUT", BLOB, "Content-Length: 1000000000")
        third.send(bytes(100_000))
        self.assertEqual((await third.reply()).status, 503)
        self.time.clock.advance(ANSWERED_REFUSAL_SECONDS + 1)
        await third.end()
        await self.occupied(2)

    async def test_flood(self) -> None:
        """When many are being refused, the others are closed at once."""
        await self.connect()
        refused = [await self.connect() for _ in range(MAX_ANSWERED_REFUSALS)]
        await self.occupied(2, MAX_ANSWERED_REFUSALS)
        other = await self.connect()
        self.assertEqual(await other.end(), b"")
        self.assertTrue(all(client.lost is None for client in refused))
        await self.assert_refused(refused[0])
        await self.served(self.client)


class TotalTests(LimitedTestCase):
    main = "max-connections = 2\nmax-connections-per-address = 2"

    async def test_refused(self) -> None:
        """It says which limit."""
        await self.connect()
        await self.assert_refused(await self.connect())
        self.assertEqual(
            self.lines,
            [
                "refused connections: 1 beyond max-connections = 2; 1 from 127.0.0.1",
            ],
        )


class TrustedTests(LimitedTestCase):
    main = f"{LimitedTestCase.main}\ntrusted-proxies = 127.0.0.1"

    async def test_many_clients(self) -> None:
        """A proxy in front brings many clients: the total alone counts."""
        await self.connect()
        await self.served(await self.connect())
        await self.assert_refused(await self.connect())
        self.assertIn("1 beyond max-connections = 3", self.lines[0])


class HandshakeTests(LimitedTestCase):
    """TLS: what the kernel has accepted counts."""

    listen = "tls:0:interface=127.0.0.1"
    autostart = False

    async def set_up(self) -> None:
        await super().set_up()
        await self.serve()

    def looking(self) -> Looking:
        """A client's TLS that takes whatever comes."""
        return Looking("registry.test")

    async def test_refused(self) -> None:
        """A client beyond the limit makes its handshake, and hears why."""
        clients = [await self.connect(self.looking()) for _ in range(2)]
        for client in clients:
            await self.served(client)
        await self.assert_refused(await self.connect(self.looking()))

    async def test_never_begun(self) -> None:
        """A connection on which no handshake comes counts, and has an end."""
        silent = [await self.connect() for _ in range(2)]
        await self.occupied(2)
        self.time.clock.advance(59)
        self.assertIsNone(silent[0].lost)
        self.time.clock.advance(1)
        for client in silent:
            self.assertEqual(await client.end(), b"")
        await self.occupied(0)

    async def test_half_way(self) -> None:
        """So has one that drips."""
        hello = bytes.fromhex("1603010200010001fc0303")
        client = await self.connect()
        client.socket.setTcpNoDelay(True)
        for byte in hello[:6]:
            client.send(bytes([byte]))
            for _ in range(5):
                await self.turn()
            self.time.clock.advance(10)
        await client.end()
        await self.occupied(0)

    async def test_stopped(self) -> None:
        """Whoever is there when regbroker stops is let go in order."""
        client = await self.connect(self.looking())
        await self.served(client)
        half = await self.connect()
        await self.stop(self.services[0])
        await client.end()
        self.assertTrue(client.closed_in_order)
        await half.end()


class BehindProxyTests(LimitedTestCase):
    """The address is that of the PROXY line."""

    listen = "proxy:tcp:0:interface=127.0.0.1"
    main = (
        "max-connections = 4\nmax-connections-per-address = 1\n"
        "trusted-proxies = 127.0.0.1"
    )

    async def came_from(self, line: bytes) -> RawClient:
        """A client whose proxy says where it comes from."""
        client = await self.connect()
        client.send(line)
        return client

    async def test_per_address(self) -> None:
        """Each has its own limit, and IPv6 by the network of a site."""
        first = await self.came_from(FROM % b"203.0.113.7")
        await self.served(first)
        await self.served(await self.came_from(FROM_6 % b"2001:db8:1:2::1"))
        await self.assert_refused(await self.came_from(FROM % b"203.0.113.7"))
        await self.assert_refused(await self.came_from(FROM_6 % b"2001:db8:1:2:a::9"))
        await self.served(await self.came_from(FROM_6 % b"2001:db8:1:3::1"))
        self.assertIn("1 from 203.0.113.7", self.lines[0])
        await self.served(first)
        # The one that was there first has said nothing.
        await self.occupied(4)

    async def test_goes(self) -> None:
        """An address has room again when its connection is gone."""
        for _ in range(3):
            client = await self.came_from(FROM % b"203.0.113.7")
            await self.served(client)
            client.close()
            await self.occupied(1)

    async def test_total(self) -> None:
        """All count in the total, also before anybody has said for whom."""
        for _ in range(3):
            await self.connect()
        await self.occupied(4)
        await self.assert_refused(await self.came_from(FROM % b"203.0.113.7"))

    async def test_flood(self) -> None:
        """Also here, connections beyond those are closed at once."""
        for _ in range(3):
            await self.connect()
        for _ in range(MAX_ANSWERED_REFUSALS):
            await self.connect()
        await self.occupied(4, MAX_ANSWERED_REFUSALS)
        other = await self.came_from(FROM % b"203.0.113.7")
        self.assertEqual(await other.end(), b"")

    async def test_no_line(self) -> None:
        """A proxy that says nothing is not waited for without end."""
        await self.occupied(1)
        self.time.clock.advance(60)
        self.assertEqual(await self.client.end(), b"")
        await self.occupied(0)

    async def assert_last(self, client: RawClient) -> None:
        """The client is answered, and told that this is the end."""
        client.send(FROM % b"203.0.113.7")
        await self.served(client, b"close")
        self.assertEqual(await client.end(), b"")

    async def test_winds_down_before_the_line(self) -> None:
        """A proxy that has not said yet for whom it comes is waited for."""
        await self.occupied(1)
        self.winding_down(is_stopping=False)
        self.time.clock.advance(FIRST_REQUEST_SECONDS)
        await self.turn()
        await self.assert_last(self.client)

    async def test_stops_before_the_line(self) -> None:
        """It has less time when regbroker stops."""
        await self.occupied(1)
        self.winding_down(is_stopping=True)
        self.time.clock.advance(FIRST_REQUEST_SECONDS - 1)
        await self.turn()
        await self.occupied(1)
        self.time.clock.advance(1)
        self.assertEqual(await self.client.end(), b"")
        await self.occupied(0)

    async def test_comes_while_it_stops(self) -> None:
        """Whoever is connected after that is answered once, too."""
        self.winding_down(is_stopping=True)
        await self.assert_last(await self.connect())

    def winding_down(self, is_stopping: bool) -> None:
        """Tell what has the connections of the one listener."""
        (listener,) = self.services[0].listeners
        factory: Any = listener._factory
        factory.wind_down(is_stopping)

    async def test_nothing_behind_the_line(self) -> None:
        """Nor is a client that says nothing after it."""
        client = await self.came_from(FROM % b"203.0.113.7")
        client.send(b"G")
        while not self.entrance.occupancy.from_address("203.0.113.7"):
            await self.turn()
        self.time.clock.advance(60)
        self.assertEqual(await client.end(), b"")
        await self.occupied(0)


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Protocol):
    """Notes which half of its connection has ended."""

    def __init__(self) -> None:
        self.halves: list[str] = []

    def readConnectionLost(self) -> None:
        self.halves.append("read")

    def writeConnectionLost(self) -> None:
        self.halves.append("write")


class FactoryTests(SynchronousTestCase):
    """Without sockets."""

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.entrance = Entrance(ConnectionLimits(2, 2), (), self.clock)

    def factory(self, protocol: Any) -> AcceptingFactory:
        """What counts the connections of this protocol."""
        return AcceptingFactory(
            self.entrance, Factory.forProtocol(protocol), Factory.forProtocol(Protocol)
        )

    def test_half_closes(self) -> None:
        """A protocol that knows halves of connections hears of them."""
        connection: Any = self.factory(HalfCloseable).buildProtocol(None)
        connection.makeConnection(StringTransport())
        self.assertTrue(IHalfCloseableProtocol.providedBy(connection))
        inner = connection.wrappedProtocol
        connection.readConnectionLost()
        connection.writeConnectionLost()
        self.assertEqual(inner.halves, ["read", "write"])

    def test_whole_closes(self) -> None:
        """One that does not is not taken for one."""
        connection: Any = self.factory(Protocol).buildProtocol(None)
        connection.makeConnection(StringTransport())
        self.assertFalse(IHalfCloseableProtocol.providedBy(connection))

    def test_counted_when_connected(self) -> None:
        """What is never connected never counts."""
        self.factory(Protocol).buildProtocol(None)
        self.assertEqual(self.entrance.occupancy.total, 0)

    def test_closing_takes_no_longer(self) -> None:
        """A client that does not play along is cut off."""
        factory = self.factory(Protocol)
        connection: Any = factory.buildProtocol(None)
        transport = StringTransport()
        aborted: list[bool] = []
        transport.abortConnection = lambda: aborted.append(True)  # type: ignore[method-assign]
        connection.makeConnection(transport)
        closing = factory.close()
        self.assertTrue(transport.disconnecting)
        self.assertNoResult(closing)
        self.assertEqual(aborted, [])
        self.clock.advance(STOP_SECONDS)
        self.assertEqual(aborted, [True])
        connection.connectionLost(Refused())
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closing_nothing(self) -> None:
        """Without connections it is over at once."""
        self.successResultOf(self.factory(Protocol).close())

    def test_replaced(self) -> None:
        """New connections have other factories; the one that is there goes on."""
        first, second = Factory.forProtocol(Protocol), Factory.forProtocol(Protocol)
        factory = AcceptingFactory(self.entrance, first, first)
        factory.doStart()
        before = factory.buildProtocol(None)
        factory.replace(second, second)
        self.assertEqual((first.numPorts, second.numPorts), (0, 1))
        after = factory.buildProtocol(None)
        self.assertIs(before.wrappedProtocol.factory, first)
        self.assertIs(after.wrappedProtocol.factory, second)
        factory.doStop()
        self.assertEqual(second.numPorts, 0)

    def test_when_empty(self) -> None:
        """It fires when the last connection has ended; at once if there is none."""
        factory = self.factory(Protocol)
        self.successResultOf(factory.when_empty())
        connection: Any = factory.buildProtocol(None)
        connection.makeConnection(StringTransport())
        empty = factory.when_empty()
        self.assertNoResult(empty)
        connection.connectionLost(Refused())
        self.successResultOf(empty)

    def test_unix_sockets(self) -> None:
        """A peer without a host counts in the total alone."""
        self.assertIsNone(self.entrance.place(socket))
        self.assertEqual(self.entrance.place(_Peer("::ffff:192.0.2.1")), "192.0.2.1")
        self.assertEqual(
            self.entrance.place(_Peer("2001:db8:1:2:3::4")), "2001:db8:1:2::"
        )

    def test_log_without_refusals(self) -> None:
        """Nothing is said of nothing."""
        self.entrance.stop()
        self.entrance.refused(Refusal.TOTAL, None)
        self.clock.advance(TELL_SECONDS)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class _Peer:
    def __init__(self, host: str) -> None:
        self.host = host
