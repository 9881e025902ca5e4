"""Where TLS stands: in front of a factory, and on the way to a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.origins import Origin
from regbroker.transport.certificates.served import PROTOCOLS, certificate_options
from regbroker.transport.client.trust import Trust
from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.flow.wrapping import lowest
from regbroker.transport.server.lingering import break_off
from regbroker.transport.tls.factory import TLSEndpoint, TLSFactory
from regbroker.transport.tls.protocol import TLSProtocol
from tests.certificates import Looking, authority, issued
from tests.proxycase import SocketTestCase
from tests.tlspeer import Inner
from tests.wire import RawClient


class FactoryTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """A factory that refuses a connection refuses it with TLS, too."""
        pair = issued("a.test")

        class Refusing(Factory):
            def buildProtocol(self, addr: Any) -> None:
                return None

        options = certificate_options(pair.certificate, pair.key)
        factory = TLSFactory(options, False, Refusing())
        self.assertIsNone(factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1)))


class SocketTests(SocketTestCase):
    """Over real sockets, both of its sides against each other and Twisted's own."""

    async def set_up(self) -> None:
        await super().set_up()
        pair = issued("a.test", "127.0.0.1")
        options = certificate_options(pair.certificate, pair.key)
        self.served: list[Inner] = []

        def build() -> Inner:
            inner = Inner()
            self.served.append(inner)
            return inner

        factory = TLSFactory(options, False, Factory.forProtocol(build))
        self.listening = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.port: int = self.listening.getHost().port

    async def tear_down(self) -> None:
        await self.listening.stopListening()

    async def until(self, is_so: Any) -> None:
        """Wait; the test's timeout is the deadline."""
        while not is_so():
            await self.turn()

    async def through(self, endpoint: Any) -> RawClient:
        """Connect a client through an endpoint."""
        client: RawClient = await endpoint.connect(Factory.forProtocol(RawClient))
        self.clients.append(client)
        return client

    async def assert_echo(self, client: RawClient) -> None:
        """A large body goes there and back, and each side ends in order."""
        await self.until(lambda: self.served and self.served[-1].handshakes)
        inner = self.served[-1]
        transport: Any = inner.transport
        inner.on_data = transport.write
        data = bytes(range(256)) * 8192
        client.send(data)
        self.assertEqual(await client.read(len(data)), data)
        transport.loseConnection()
        await client.end()
        await self.until(lambda: inner.lost)

    async def test_own_client(self) -> None:
        """The endpoint of `Trust` verifies, and reads as much at once."""
        path = Path(self.mktemp())
        path.write_bytes(authority().certificate)
        trust = Trust(path)
        origin = Origin("https", "127.0.0.1", self.port)
        client = await self.through(trust.endpoint(self.reactor, origin, 5))
        transport: Any = client.transport
        self.assertIsInstance(transport, TLSProtocol)
        self.assertEqual(lowest(transport).bufferSize, READ_BYTES)
        await self.assert_echo(client)

    async def broken_off(self, *, resets: bool) -> list[Failure]:
        """What was written comes; how TCP ends for the client, whose TLS does not."""
        client = await self.connect_to(self.port, Looking("a.test"))
        await self.until(lambda: self.served and self.served[-1].handshakes)
        ends: list[Failure] = []
        above: Any = client.transport
        lost = above.connectionLost

        def noted(why: Failure) -> None:
            ends.append(why)
            lost(why)

        above.connectionLost = noted
        transport: Any = self.served[-1].transport
        transport.write(b"first")
        # The client has read all that came before: a kernel may drop what it has not
        # read when the connection breaks.
        self.assertEqual(await client.read(5), b"first")
        transport.write(b"half of it")
        break_off(transport, resets=resets)
        self.assertEqual(await client.end(), b"half of it")
        self.assertFalse(client.closed_in_order)
        return ends

    async def test_broken_off(self) -> None:
        """The connection is reset."""
        (end,) = await self.broken_off(resets=True)
        end.trap(ConnectionLost)

    async def test_ended_early(self) -> None:
        """TCP ends in order, and TLS does not."""
        (end,) = await self.broken_off(resets=False)
        end.trap(ConnectionDone)

    async def test_not_trusted(self) -> None:
        """A CA that is not named is not believed, and no byte is delivered."""
        path = Path(self.mktemp())
        path.write_bytes(authority("Another CA").certificate)
        origin = Origin("https", "127.0.0.1", self.port)
        endpoint = Trust(path).endpoint(self.reactor, origin, 5)
        client = await self.through(endpoint)
        client.send(b"a secret")
        await self.until(lambda: client.lost)
        assert client.lost is not None
        client.lost.trap(SSL.Error)
        await self.until(lambda: self.served and self.served[0].lost)
        self.assertEqual(self.served[0].text, b"")

    async def test_other_clients(self) -> None:
        """Twisted's client of TLS 1.2 and of TLS 1.3, with ALPN."""
        for newest in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            looking = Looking("a.test", protocols=tuple(PROTOCOLS), newest=newest)
            client = await self.connect_to(self.port, looking)
            await self.assert_echo(client)
            self.assertEqual(looking.names, {"a.test", "127.0.0.1"})

    async def test_no_server(self) -> None:
        """Nobody there is an error of the endpoint below."""
        port = self.reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        below = TCP4ClientEndpoint(self.reactor, "127.0.0.1", port.getHost().port)
        await port.stopListening()
        with self.assertRaises(ConnectError):
            await self.through(TLSEndpoint(Looking(), below))
