"""TLS through memory: in how many steps, and over a transport that holds bytes."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport import pyopenssl_private
from regbroker.transport.flow.backpressure import MOST_WHEN_FULL, READ_BYTES, Budget
from regbroker.transport.flow.wide_reads import STEADY_BYTES, WIDE_BYTES
from regbroker.transport.pyopenssl_private import RECORD_BYTES
from regbroker.transport.tls import memory as tls_memory
from regbroker.transport.tls import memory_bios
from regbroker.transport.tls.memory_bios import (
    MOST_RECORDS,
    MUCH_BYTES,
    SOME_RECORDS,
    records_at_once,
)
from tests.tlspeer import Endless, Link, in_memory


class StepTests(SynchronousTestCase):
    @in_memory
    def test_joined(self, link: Link) -> None:
        """Many records at once are one delivery."""
        link.shake_hands()
        for n in range(40):
            link.peer.sendall(bytes([n]) * 1000)
        link.settle()
        self.assertEqual(len(link.inner.received), 1)
        self.assertEqual(
            link.inner.text, b"".join(bytes([n]) * 1000 for n in range(40))
        )

    @in_memory
    def test_nothing_in_vain(self, link: Link) -> None:
        """With data that is answered, nobody looks for what TLS has to say."""
        link.shake_hands()
        link.inner.on_data = lambda data: link.tls.write(b"answer")
        asked: list[int] = []

        def read_bio(connection: SSL.Connection, size: int) -> bytes:
            asked.append(size)
            return pyopenssl_private.read_bio(connection, size)

        self.patch(memory_bios, "read_bio", read_bio)
        for _ in range(3):
            link.peer.send(b"question")
            link.feed(link.from_peer())
            # In TLS 1.2, a new handshake waits for what it has to say.
            self.assertEqual(len(asked), 1 + (link.tls.version == "TLSv1.2"))
            asked.clear()
        link.settle()
        self.assertEqual(link.text, b"answer" * 3)

    @in_memory
    def test_much(self, link: Link) -> None:
        """More records pass through the BIOs at once when much has passed."""
        link.shake_hands()
        at_once: list[int] = []

        def count(carried: int, size: int) -> int:
            at_once.append(records_at_once(carried, size))
            return at_once[-1]

        self.patch(tls_memory, "records_at_once", count)
        half = bytes(MUCH_BYTES // 2)
        link.tls.write(half)
        link.peer.sendall(half[:-100_000])
        link.settle()
        self.assertEqual(set(at_once), {1})
        link.tls.write(half)
        self.assertEqual(at_once[-1], MOST_RECORDS)
        link.peer.sendall(bytes(2 * RECORD_BYTES))
        link.settle()
        self.assertEqual(at_once[-1], SOME_RECORDS)
        link.peer.sendall(half)
        link.settle()
        self.assertEqual(at_once[-1], MOST_RECORDS)
        self.assertEqual(len(link.text), 2 * len(half))
        carried = 2 * len(half) - 100_000 + 2 * RECORD_BYTES
        self.assertEqual(len(link.inner.text), carried)

    def test_new_handshake_in_a_full_read(self) -> None:
        """An answer of TLS 1.2 goes out at once, though there may be more to read."""
        asking = Link(True, SSL.TLS1_2_VERSION).shake_hands()
        asking.peer.renegotiate()
        asking.peer.do_handshake()
        request = len(asking.from_peer())
        link = Link(True, SSL.TLS1_2_VERSION).shake_hands()
        link.peer.sendall(bytes(6 * RECORD_BYTES))
        before = link.from_peer()
        link.peer.send(b"x")
        overhead = len(link.from_peer()) - 1
        link = Link(True, SSL.TLS1_2_VERSION).shake_hands()
        link.peer.sendall(bytes(6 * RECORD_BYTES))
        link.peer.send(bytes(READ_BYTES - len(before) - overhead - request))
        link.peer.renegotiate()
        link.peer.do_handshake()
        data = link.from_peer()
        self.assertEqual(len(data), READ_BYTES)
        link.feed(data)
        self.assertTrue(link.sent())

    @in_memory
    def test_abort_while_it_receives(self, link: Link) -> None:
        """A protocol may abort in the middle of a delivery, close_notify behind it."""
        link.shake_hands()
        link.inner.on_data = lambda data: link.tls.abortConnection()
        link.peer.send(b"one")
        link.peer.send(b"two")
        link.peer.shutdown()
        link.feed(link.from_peer())
        self.assertEqual(link.inner.received, [b"onetwo"])
        self.assertEqual(link.sent(), b"")
        self.assertTrue(link.is_closed)


class Slow(FileDescriptor):
    """Twisted's own buffer in front of a socket that takes so much and no more."""

    def __init__(self) -> None:
        super().__init__(MemoryReactor())
        self.connected = 1
        self.room = 0
        self.given = 0
        self.sent = 0

    def write(self, data: bytes) -> None:
        self.given += len(data)
        super().write(data)

    def writeSequence(self, iovec: Any) -> None:
        self.given += sum(map(len, iovec))
        super().writeSequence(iovec)

    def writeSomeData(self, data: bytes) -> int:
        size = min(len(data), self.room)
        self.room -= size
        self.sent += size
        return size

    @property
    def held(self) -> int:
        """What waits for the socket, in bytes."""
        return self.given - self.sent

    def take(self, size: int) -> None:
        """Let the socket take some bytes more."""
        self.room += size
        while self.room and self.held:
            self.doWrite()


class FlowTests(SynchronousTestCase):
    def slow(self, budget: Budget | None = None) -> tuple[Link, Slow, Endless]:
        """A connection whose peer reads nothing, and what wants to write to it."""
        link = Link(budget=budget).shake_hands()
        slow: Any = Slow()
        slow.bufferSize = READ_BYTES
        link.tls.transport = slow
        producer = Endless(link.tls)
        link.tls.registerProducer(producer, True)
        return link, slow, producer

    def test_bound(self) -> None:
        """A peer that does not read makes a connection hold a few chunks."""
        _, slow, producer = self.slow()
        producer.run()
        self.assertLess(slow.held, READ_BYTES + MOST_WHEN_FULL + 1024)
        self.assertGreater(slow.held, READ_BYTES + RECORD_BYTES)
        self.assertEqual((producer.pauses, producer.resumes), (1, 0))
        slow.take(slow.held - 1)
        self.assertEqual(producer.resumes, 0)
        slow.take(1)
        self.assertEqual(producer.resumes, 1)

    def test_no_pause_for_each_chunk(self) -> None:
        """A peer that keeps up is never a reason to pause."""
        link, slow, producer = self.slow()
        for _ in range(20):
            link.tls.write(bytes(READ_BYTES))
            slow.take(slow.held)
        self.assertEqual(producer.pauses, 0)

    def test_shared(self) -> None:
        """Many peers that do not read hold one chunk or two each."""
        budget = Budget()
        many = [self.slow(budget) for _ in range(100)]
        for _, _, producer in many:
            producer.run()
        held = sum(slow.held for _, slow, _ in many)
        most = 2 * (READ_BYTES + 1024) * len(many) + budget.limit + MOST_WHEN_FULL
        self.assertLess(held, most)
        self.assertLess(budget.used, budget.limit + len(many) * (READ_BYTES + 1024))
        for link, _, _ in many:
            link.hang_up()
        self.assertEqual(budget.used, 0)

    def test_unregistered(self) -> None:
        """A producer that is through may be followed by the next."""
        link, slow, producer = self.slow()
        producer.run()
        link.tls.unregisterProducer()
        link.tls.unregisterProducer()
        other = Endless(link.tls)
        link.tls.registerProducer(other, True)
        with self.assertRaises(RuntimeError):
            link.tls.registerProducer(producer, True)
        other.run()
        self.assertEqual((producer.pauses, other.pauses), (1, 1))
        slow.take(slow.held)
        self.assertEqual((producer.resumes, other.resumes), (0, 1))

    def test_stopped(self) -> None:
        """A lost connection stops the producer; a later one is stopped at once."""
        link, slow, producer = self.slow()
        slow.connectionLost(Failure(ConnectionDone()))
        link.hang_up()
        late = Endless(link.tls)
        link.tls.registerProducer(late, True)
        self.assertEqual((producer.stops, late.stops), (1, 1))

    def test_close_waits_for_producer(self) -> None:
        """close_notify comes when the producer has written all."""
        link = Link().shake_hands()
        link.tls.registerProducer(Endless(link.tls), True)
        link.tls.write(b"one")
        link.tls.loseConnection()
        link.tls.write(b"two")
        link.settle()
        self.assertEqual((link.text, link.end), (b"onetwo", None))
        link.tls.write(b"three")
        link.tls.unregisterProducer()
        link.settle()
        self.assertEqual(link.text, b"onetwothree")
        self.assertIsInstance(link.end, SSL.ZeroReturnError)

    def test_handshake_that_never_ends(self) -> None:
        """What cannot be encrypted is bounded, too."""
        link = Link().connect()
        producer = Endless(link.tls)
        link.tls.registerProducer(producer, True)
        producer.run()
        self.assertEqual((producer.pauses, producer.written), (1, 2 * READ_BYTES))
        link.settle()
        self.assertEqual(producer.resumes, 1)
        self.assertEqual(len(link.text), producer.written)

    def test_steady(self) -> None:
        """What comes fast is read in larger pieces; the same stream comes out."""
        link = Link().connect()
        link.transport.bufferSize = 1
        link.tls.read_from(link.transport)
        link.settle()
        data, wire, sizes = bytes(range(256)) * 1024, b"", list[int]()
        parts = STEADY_BYTES // len(data) + 4
        for _ in range(parts):
            link.peer.sendall(data)
            wire += link.from_peer()
            while len(wire) >= (size := link.transport.bufferSize):
                link.feed(wire[:size])
                wire = wire[size:]
                sizes.append(size)
        self.assertEqual(set(sizes), {READ_BYTES, WIDE_BYTES})
        self.assertEqual(sizes, sorted(sizes))
        link.feed(wire)
        self.assertEqual(link.inner.text, data * parts)

    def test_reading(self) -> None:
        """To pause this transport is to pause the one below."""
        link = Link().shake_hands()
        link.tls.pauseProducing()
        self.assertEqual(link.transport.producerState, "paused")
        link.tls.resumeProducing()
        self.assertEqual(link.transport.producerState, "producing")
