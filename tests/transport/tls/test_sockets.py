"""TLS over a socket itself: what the socket does not take, and how it begins."""

from __future__ import annotations

import gc
import socket
import weakref
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.flow import wide_reads
from regbroker.transport.flow.backpressure import MOST_WHEN_FULL, READ_BYTES, Budget
from regbroker.transport.flow.wide_reads import (
    READS_OF_A_TURN,
    STEADY_BYTES,
    WIDE_BYTES,
)
from regbroker.transport.pyopenssl_private import RECORD_BYTES, receive
from regbroker.transport.tls import sockets
from regbroker.transport.tls.memory import MemoryTLSProtocol
from regbroker.transport.tls.server_names import ServerTLSFactory
from regbroker.transport.tls.sockets import RECORDS_OF_A_READ, SocketTLSProtocol
from tests.certificates import issued
from tests.tlspeer import VERSIONS, Endless, Inner, SocketLink

#: What is written to a peer that does not read: more than any socket takes.
MUCH = bytes(range(256)) * 8 * 1024


class Refusing(Factory):
    """A factory that wants no connection."""

    def buildProtocol(self, addr: object) -> None:
        return None


class SocketTestCase(SynchronousTestCase):
    def link(self, is_client: bool = False, budget: Budget | None = None) -> SocketLink:
        """A pair of sockets that is closed after the test."""
        link = SocketLink(is_client, budget=budget)
        self.addCleanup(link.close)
        return link

    def blocked(self, budget: Budget | None = None) -> SocketLink:
        """A connection whose peer has not read what was written."""
        link = self.link(budget=budget)
        link.shake_hands()
        link.tls.write(MUCH)
        self.assertEqual(len(link.reactor.writers), 1)
        return link


class KindTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """Clients over TCP have the socket; all others memory."""
        pair = issued("a.test")
        options = certificate_options(pair.certificate, pair.key)
        factory: Any = Factory.forProtocol(Inner)
        kinds = ServerTLSFactory(options, factory)
        for address in IPv4Address("TCP", "::", 1), IPv6Address("TCP", "::", 1):
            self.assertIsInstance(kinds.buildProtocol(address), SocketTLSProtocol)
        for other in None, UNIXAddress(b"/socket"):
            self.assertIsInstance(kinds.buildProtocol(other), MemoryTLSProtocol)
        refusing: Any = Refusing()
        self.assertIsNone(ServerTLSFactory(options, refusing).buildProtocol(None))


class StreamTests(SocketTestCase):
    @settings(max_examples=25, deadline=None)
    @given(st.booleans(), st.sampled_from(VERSIONS), st.data())
    def test_any_chunks(
        self, is_client: bool, version: int, data: st.DataObject
    ) -> None:
        """However much the sockets take at a time, both streams stay what they are."""
        link = SocketLink(is_client, version)
        try:
            for end in link.socket, link.transport.getHandle():
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            link.shake_hands()
            given_, taken = b"", b""
            for n in range(data.draw(st.integers(1, 4))):
                up = bytes([n]) * data.draw(st.integers(0, 3 * READ_BYTES))
                down = bytes([255 - n]) * data.draw(st.integers(0, 3 * READ_BYTES))
                if up:
                    link.peer.sendall(up)
                link.tls.write(down)
                taken, given_ = taken + up, given_ + down
                if data.draw(st.booleans()):
                    link.settle()
            link.tls.loseConnection()
            link.settle()
            self.assertEqual(link.inner.text, taken)
            self.assertEqual(link.text, given_)
            self.assertIsInstance(link.end, SSL.ZeroReturnError)
        finally:
            link.close()

    def test_body(self) -> None:
        """What comes after a first piece, with no answer between, comes joined."""
        link = self.link()
        link.shake_hands()
        for n in range(40):
            link.peer.sendall(bytes([n]) * 1000)
        link.settle()
        self.assertEqual([len(each) for each in link.inner.received], [1000, 39000])
        link.tls.write(b"answer")
        link.settle()
        link.peer.send(b"one")
        link.peer.send(b"two")
        link.settle()
        self.assertEqual(link.inner.received[2:], [b"one", b"two"])

    def test_small_records(self) -> None:
        """Whoever sends a byte in each record is read so many at once."""
        link = self.link()
        link.shake_hands()
        link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        for _ in range(3 * RECORDS_OF_A_READ):
            link.peer.send(b"x")
        link.socket.sendall(link.from_peer())
        for _ in range(3):
            link.reactor.run()
        sizes = [len(each) for each in link.inner.received]
        self.assertEqual(sizes, [1, RECORDS_OF_A_READ, RECORDS_OF_A_READ])

    def test_full_reads(self) -> None:
        """A large body comes in pieces of what is read at once."""
        link = self.link()
        link.shake_hands()
        link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        link.peer.sendall(bytes(14 * RECORD_BYTES))
        link.socket.sendall(link.from_peer())
        link.settle()
        self.assertEqual([len(each) for each in link.inner.received], [READ_BYTES] * 2)

    def test_several_pieces(self) -> None:
        """A steady body is read more than once in a turn, until somebody pauses."""
        link = self.link()
        link.shake_hands()
        received = link.inner.received
        self.patch(wide_reads, "TURNS", wide_reads.Turns())
        self.patch(
            sockets, "receive", lambda connection, size, *others: (bytes(size), None)
        )
        link.tls._read()
        self.assertEqual([len(each) for each in received], [READ_BYTES])
        link.tls.has_read(2 * STEADY_BYTES)
        received.clear()
        link.tls._read()
        self.assertEqual(
            [len(each) for each in received], [WIDE_BYTES] * READS_OF_A_TURN
        )
        received.clear()

        def pause_at_third(_: bytes) -> None:
            if len(received) == 3:
                link.tls.pauseProducing()

        link.inner.on_data = pause_at_third
        link.tls._read()
        self.assertEqual(len(received), 3)
        received.clear()
        link.tls.resumeProducing()
        link.inner.on_data = lambda _: link.tls.abortConnection()
        link.tls._read()
        self.assertEqual(len(received), 1)

    def test_paused(self) -> None:
        """Nothing is read while it is paused, and nothing is lost."""
        link = self.link()
        link.shake_hands()
        link.tls.pauseProducing()
        link.peer.send(b"question")
        link.settle()
        self.assertEqual(link.inner.received, [])
        link.tls.resumeProducing()
        link.settle()
        self.assertEqual(link.inner.received, [b"question"])

    def test_long_chain(self) -> None:
        """A handshake that the socket does not take at once goes on."""
        link = SocketLink(chain=40)
        self.addCleanup(link.close)
        link.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        link.connect()
        link.to_peer()
        link.socket.sendall(link.from_peer())
        link.reactor.run()
        self.assertEqual(len(link.reactor.writers), 1)
        link.settle()
        self.assertEqual(link.inner.handshakes, 1)
        link.tls.write(b"answer")
        link.settle()
        self.assertEqual(link.text, b"answer")

    def test_read_that_has_to_write(self) -> None:
        """Where OpenSSL has to write before it reads, it is asked again."""
        link = self.link()
        link.shake_hands()
        asked: list[int] = []

        def first_write(
            connection: SSL.Connection, size: int, *others: Any
        ) -> tuple[bytes, SSL.Error | None]:
            asked.append(size)
            if len(asked) == 1:
                return b"", SSL.WantWriteError()
            return receive(connection, size, *others)

        self.patch(sockets, "receive", first_write)
        link.peer.send(b"question")
        link.socket.sendall(link.from_peer())
        link.tls.pauseProducing()
        link.tls.resumeProducing()
        link.tls._read()
        self.assertEqual((link.inner.received, len(asked)), ([], 1))
        link.tls.pauseProducing()
        link.settle()
        self.assertEqual(link.inner.received, [])
        link.tls.resumeProducing()
        link.settle()
        self.assertEqual(link.inner.received, [b"question"])


class BlockedTests(SocketTestCase):
    def test_event_of_another(self) -> None:
        """A new connection may hear that one can write whose number its socket has."""
        link = self.link()
        link.connect()
        (descriptor,) = link.reactor.readers
        self.assertIsNone(descriptor.doWrite())
        link.settle()
        self.assertEqual(link.inner.handshakes, 1)

    def test_order(self) -> None:
        """What is written meanwhile comes behind; then the end, and nothing more."""
        link = self.blocked()
        link.tls.write(b"one")
        link.tls.write(b"two" * RECORD_BYTES)
        link.clock.advance(0)
        link.tls.loseConnection()
        link.tls.write(b"dropped")
        self.assertFalse(link.is_closed)
        link.settle()
        self.assertEqual(link.text, MUCH + b"one" + b"two" * RECORD_BYTES)
        self.assertIsInstance(link.end, SSL.ZeroReturnError)
        self.assertFalse(link.is_closed)
        link.peer.shutdown()
        link.settle()
        self.assertTrue(link.is_closed)
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionDone)

    def test_order_of_sequences(self) -> None:
        """A sequence waits for what the socket has not taken, and stays in order."""
        link = self.blocked()
        link.tls.writeSequence((b"one", b"two" * RECORD_BYTES))
        link.tls.write(b"three")
        link.tls.writeSequence((b"four",))
        link.settle()
        self.assertEqual(
            link.text, MUCH + b"one" + b"two" * RECORD_BYTES + b"threefour"
        )

    def test_half_close(self) -> None:
        """The end of TCP comes behind close_notify, and what comes is still read."""
        link = self.blocked()
        link.tls.loseWriteConnection()
        link.peer.send(b"still on its way")
        link.settle()
        self.assertEqual(link.text, MUCH)
        self.assertIsInstance(link.end, SSL.ZeroReturnError)
        self.assertEqual(link.socket.recv(1), b"")
        self.assertEqual(link.inner.text, b"still on its way")
        self.assertFalse(link.is_closed)
        link.peer.shutdown()
        link.settle()
        self.assertTrue(link.is_closed)

    def test_half_close_after_the_end(self) -> None:
        """The same where close_notify is out already."""
        link = self.link()
        link.shake_hands()
        link.tls.loseConnection()
        link.settle()
        with self.assertRaises(BlockingIOError):
            link.socket.recv(1)
        link.tls.loseWriteConnection()
        self.assertEqual(link.socket.recv(1), b"")

    def test_hang_up(self) -> None:
        """All that was written is sent; the peer's end is not waited for."""
        link = self.blocked()
        link.tls.loseConnection()
        link.tls.hang_up()
        self.assertFalse(link.is_closed)
        link.settle()
        self.assertEqual(link.text, MUCH)
        self.assertTrue(link.is_closed)

    def test_stop_with_something_to_send(self) -> None:
        """What was written in the same turn is sent, too."""
        link = self.link()
        link.shake_hands()
        link.tls.write(b"answer")
        link.tls.stopProducing()
        link.tls.resumeProducing()
        link.settle()
        self.assertEqual(link.text, b"answer")
        self.assertTrue(link.is_closed)

    def test_peer_ends_and_reads_on(self) -> None:
        """Who ends in order gets all that was written, and our end."""
        link = self.blocked()
        producer = Endless(link.tls)
        link.tls.registerProducer(producer, True)
        link.tls.write(b"one")
        link.peer.shutdown()
        link.socket.sendall(link.from_peer())
        self.assertTrue(link.reactor.run())
        # It would be told of the peer's end without end.
        self.assertFalse(link.reactor.run())
        self.assertFalse(link.is_closed)
        link.settle()
        self.assertEqual(link.text, MUCH + b"one")
        self.assertIsInstance(link.end, SSL.ZeroReturnError)
        self.assertTrue(link.is_closed)
        self.assertEqual(producer.stops, 1)

    def test_hang_up_with_nothing_to_send(self) -> None:
        """It is closed at once, though not before who asks for it is through."""
        link = self.link()
        link.shake_hands()
        link.tls.stopProducing()
        self.assertFalse(link.transport.disconnected)
        self.assertTrue(link.is_closed)

    def test_end_that_waits(self) -> None:
        """close_notify, too, waits for a socket that takes nothing."""
        link = self.link()
        link.shake_hands()
        shutdown = SSL.Connection.shutdown
        asked: list[SSL.Connection] = []

        def full_at_first(connection: SSL.Connection) -> bool:
            asked.append(connection)
            if len(asked) == 1:
                raise SSL.WantWriteError
            return shutdown(connection)

        self.patch(SSL.Connection, "shutdown", full_at_first)
        link.tls.loseWriteConnection()
        link.settle()
        self.assertEqual(len(asked), 2)
        self.assertIsInstance(link.end, SSL.ZeroReturnError)
        self.assertEqual(link.socket.recv(1), b"")

    def test_bound(self) -> None:
        """A producer is paused after two chunks more, and resumed when all is sent."""
        link = self.blocked()
        producer = Endless(link.tls)
        link.tls.registerProducer(producer, True)
        producer.run()
        self.assertEqual(producer.pauses, 1)
        self.assertLessEqual(producer.written, MOST_WHEN_FULL)
        link.settle()
        self.assertEqual(producer.resumes, 1)
        self.assertEqual(len(link.text), len(MUCH) + producer.written)

    def test_shared(self) -> None:
        """What all may hold is counted together, and given back."""
        budget = Budget(READ_BYTES)
        links = [self.blocked(budget) for _ in range(3)]
        self.assertGreater(budget.used, READ_BYTES)
        for link in links:
            producer = Endless(link.tls)
            link.tls.registerProducer(producer, True)
            producer.run()
            self.assertEqual((producer.pauses, producer.written), (1, READ_BYTES))
        links[0].settle()
        links[1].hang_up()
        links[2].tls.abortConnection()
        links[2].clock.advance(0)
        self.assertEqual(budget.used, 0)

    def test_gone(self) -> None:
        """A peer that resets ends it; a producer hears of it."""
        link = self.blocked()
        producer = Endless(link.tls)
        link.tls.registerProducer(producer, True)
        link.hang_up()
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionLost)
        self.assertEqual(producer.stops, 1)
        self.assertEqual((link.reactor.readers, link.reactor.writers), (set(), set()))

    def test_write_to_one_that_is_gone(self) -> None:
        """A write that fails ends it, too."""
        link = self.link()
        link.shake_hands()
        link.socket.close()
        link.tls.write(b"answer")
        link.clock.advance(0)
        self.assertTrue(link.is_closed)
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionLost)

    def test_error_of_its_own(self) -> None:
        """A socket that has gone keeps nothing alive of one end after the other."""
        link = self.link()
        link.shake_hands()
        link.transport.connectionLost(Failure(ConnectionDone()))
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionLost)
        self.assertIsNot(link.inner.lost.value, CONNECTION_LOST)

    def test_abort_while_it_receives(self) -> None:
        """A protocol may abort in the middle of a delivery."""
        link = self.link()
        link.shake_hands()
        link.inner.on_data = lambda data: link.tls.abortConnection()
        link.peer.send(b"one")
        link.peer.send(b"two")
        link.settle()
        self.assertEqual(link.inner.received, [b"one"])
        self.assertTrue(link.is_closed)

    def test_nothing_is_left(self) -> None:
        """A connection that is over needs no collector to go away."""
        link = self.link()
        link.shake_hands()
        gone = weakref.ref(link.tls.getHandle())
        gc.disable()
        self.addCleanup(gc.enable)
        link.hang_up()
        self.assertIsNone(gone())
