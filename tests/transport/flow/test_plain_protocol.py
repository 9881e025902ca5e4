"""HTTP without TLS: whole messages and large writes go to the socket at once."""

from __future__ import annotations

from select import select
from socket import SO_LINGER, SOL_SOCKET, create_connection, socket, socketpair
from struct import pack
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.flow.backpressure import MOST_WHEN_FULL, Budget
from regbroker.transport.flow.plain_protocol import PlainFactory
from tests.transport.flow.test_backpressure import Producer


class PlainProtocolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.budget = Budget()
        self.transport = StringTransport()
        factory: Any = PlainFactory(Factory.forProtocol(Protocol), self.budget)
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.writer: Any = self.protocol.wrappedProtocol.transport

    def test_order(self) -> None:
        """Small and large writes come in their order."""
        self.writer.write(b"head")
        self.writer.write(bytes(100_000))
        self.writer.writeSequence([b"e", b"nd"])
        self.assertEqual(self.transport.value(), b"head" + bytes(100_000) + b"end")

    def test_now(self) -> None:
        """A sequence is with the system at once, unless other bytes wait before it."""
        here, there = socketpair()
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        there.setblocking(False)
        connection: Any = Connection(here, Protocol(), MemoryReactor())
        connection.connected = 1
        factory: Any = PlainFactory(Factory.forProtocol(Protocol), self.budget)
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(connection)
        writer: Any = protocol.wrappedProtocol.transport
        writer.writeSequence((b"head", b"body"))
        self.assertEqual(there.recv(100), b"headbody")
        writer.write(b"a")
        writer.writeSequence((b"b", b"c"))
        self.assertRaises(BlockingIOError, there.recv, 100)
        connection.doWrite()
        self.assertEqual(there.recv(100), b"abc")

    def test_reset(self) -> None:
        """A reset that a write hears of first is no end in order."""
        listening = socket()
        self.addCleanup(listening.close)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        here = create_connection(listening.getsockname())
        self.addCleanup(here.close)
        there, _ = listening.accept()
        connection: Any = Connection(here, Protocol(), MemoryReactor())
        connection.connected = 1
        factory: Any = PlainFactory(Factory.forProtocol(Protocol), self.budget)
        protocol = connection.protocol = factory.buildProtocol(None)
        protocol.makeConnection(connection)
        ends: list[Failure] = []
        protocol.wrappedProtocol.connectionLost = ends.append
        # Without lingering, the end is a reset.
        there.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
        there.close()
        select([here], (), ())
        protocol.writeSequence((b"more",))
        end = connection.doRead()
        self.assertIsInstance(end, ConnectionDone)
        connection.connectionLost(Failure(end))
        self.assertEqual([end.type for end in ends], [ConnectionLost])

    def test_full(self) -> None:
        """A producer stops at the watermark; the end gives back what was counted."""
        producer: Any = Producer()
        self.writer.registerProducer(producer, True)
        flow: Any = self.transport.producer
        flow.pauseProducing()
        self.writer.write(bytes(MOST_WHEN_FULL // 2))
        self.assertFalse(self.protocol._flow.is_paused)
        self.writer.write(bytes(MOST_WHEN_FULL // 2))
        self.assertTrue(self.protocol._flow.is_paused)
        self.assertEqual(self.budget.used, MOST_WHEN_FULL)
        self.protocol.connectionLost(Failure(ConnectionError()))
        self.assertEqual(self.budget.used, 0)
