"""TLS in both directions, against pyOpenSSL itself."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import INegotiated, ISSLTransport
from twisted.internet.testing import MemoryReactor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from regbroker.transport.flow.backpressure import MOST_WHEN_FULL, READ_BYTES, Budget
from regbroker.transport.flow.wide_reads import STEADY_BYTES, WIDE_BYTES
from regbroker.transport.tls import incoming as tls_incoming
from regbroker.transport.tls import protocol as tls_protocol
from regbroker.transport.tls.records import (
    MOST_RECORDS,
    MUCH_BYTES,
    RECORD_BYTES,
    SOME_RECORDS,
    records_at_once,
)
from tests.tlspeer import Link

VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)


def each_way(test: Callable[[Any, Link], None]) -> Callable[[Any], None]:
    """Run a test as server and as client, with TLS 1.2 and 1.3."""

    def run(case: Any) -> None:
        for is_client in (False, True):
            for version in VERSIONS:
                test(case, Link(is_client, version))

    run.__doc__ = test.__doc__
    return run


class StreamTests(SynchronousTestCase):
    @each_way
    def test_both_directions(self, link: Link) -> None:
        """What one side writes, the other reads."""
        link.shake_hands()
        data = bytes(range(256)) * 1024
        link.peer.send(b"question")
        link.settle()
        self.assertEqual(link.inner.text, b"question")
        link.tls.write(data)
        link.tls.writeSequence([b"the ", b"end"])
        link.settle()
        self.assertEqual(link.text, data + b"the end")

    @each_way
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

    @each_way
    def test_split_anywhere(self, link: Link) -> None:
        """Bytes that come one by one are the same stream, the handshake included."""
        link.connect()
        link.peer.set_app_data(None)
        while True:
            link.clock.advance(0)
            sent = link.to_peer()
            data = link.from_peer()
            for n in range(len(data)):
                link.tls.dataReceived(data[n : n + 1])
            if not (sent or data):
                break
        link.peer.send(b"x" * 20)
        for byte in link.from_peer():
            link.tls.dataReceived(bytes([byte]))
        self.assertEqual(link.inner.text, b"x" * 20)

    @each_way
    def test_nothing_in_vain(self, link: Link) -> None:
        """With data that is answered, nobody looks for what TLS has to say."""
        link.shake_hands()
        link.inner.on_data = lambda data: link.tls.write(b"answer")
        asked: list[str] = []

        def note(name: str) -> None:
            real = getattr(SSL.Connection, name)

            def call(connection: SSL.Connection, size: int) -> bytes:
                if connection is link.tls.getHandle():
                    asked.append(name)
                data: bytes = real(connection, size)
                return data

            self.patch(SSL.Connection, name, call)

        note("recv")
        note("bio_read")
        # Before the last byte of the first record, and at that byte.
        expected = ["recv", "recv", "bio_read"]
        if link.tls.version == "TLSv1.2":
            # Twice, since only an error says that there is no more. And a new handshake
            # waits for what it has to say.
            expected.append("bio_read")
        for _ in range(3):
            link.peer.send(b"question")
            link.tls.dataReceived(link.from_peer())
            self.assertEqual(asked, expected)
            asked.clear()
            if link.tls.version == "TLSv1.3":
                # From then on it is known that nothing is left.
                expected = ["recv", "bio_read"]
        link.settle()
        self.assertEqual(link.text, b"answer" * 3)

    @each_way
    def test_no_record(self, link: Link) -> None:
        """What begins as no record does ends the stream before more of it comes."""
        link.shake_hands()
        link.peer.send(b"good")
        data = link.from_peer()
        link.tls.dataReceived(data[:9])
        link.tls.dataReceived(data[9:] + b"GET /")
        self.assertEqual(link.inner.text, b"good")
        self.assertTrue(link.transport.disconnecting)

    @each_way
    def test_much(self, link: Link) -> None:
        """More records pass through the BIOs at once when much has passed."""
        link.shake_hands()
        at_once: list[int] = []

        def count(carried: int, size: int) -> int:
            at_once.append(records_at_once(carried, size))
            return at_once[-1]

        for each in tls_protocol, tls_incoming:
            self.patch(each, "records_at_once", count)
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

    @each_way
    def test_before_the_handshake(self, link: Link) -> None:
        """What is written first goes out when the handshake is over, in order."""
        link.connect()
        link.tls.write(b"a")
        link.tls.write(b"b" * RECORD_BYTES * 2)
        link.tls.write(b"c")
        link.settle()
        self.assertEqual(link.text, b"a" + b"b" * RECORD_BYTES * 2 + b"c")

    @each_way
    def test_with_the_handshake(self, link: Link) -> None:
        """What the peer sends together with its last message is delivered."""
        link.connect()
        for _ in range(3):
            link.to_peer()
            try:
                link.peer.send(b"early")
                break
            except SSL.WantReadError:
                link.tls.dataReceived(link.from_peer())
        link.settle()
        self.assertEqual(link.inner.text, b"early")

    @each_way
    def test_one_record_for_one_turn(self, link: Link) -> None:
        """Small writes wait for the end of the turn, a full record does not."""
        link.shake_hands()
        for piece in (b"HTTP/1.1 200 OK\r\n", b"\r\n", b"body"):
            link.tls.write(piece)
        self.assertEqual(link.transport.value(), b"")
        link.clock.advance(0)
        length = len(b"HTTP/1.1 200 OK\r\n\r\nbody")
        self.assertLess(len(link.transport.value()), length + 40)
        link.to_peer()
        link.tls.write(bytes(RECORD_BYTES))
        self.assertGreater(len(link.transport.value()), RECORD_BYTES)
        self.assertEqual(link.clock.getDelayedCalls(), [])

    @settings(max_examples=25, deadline=None)
    @given(st.booleans(), st.sampled_from(VERSIONS), st.data())
    def test_any_chunks(
        self, is_client: bool, version: int, data: st.DataObject
    ) -> None:
        """However writes and reads are cut, both streams stay what they are."""
        link = Link(is_client, version).shake_hands()
        sizes = st.integers(0, READ_BYTES + 5)
        given_, taken = b"", b""
        for n in range(data.draw(st.integers(1, 5))):
            up = bytes([n]) * data.draw(sizes)
            down = bytes([255 - n]) * data.draw(sizes)
            if up:
                link.peer.sendall(up)
            link.tls.write(down)
            taken, given_ = taken + up, given_ + down
            wire = link.from_peer()
            while wire:
                size = data.draw(st.integers(1, READ_BYTES))
                link.tls.dataReceived(wire[:size])
                wire = wire[size:]
        link.tls.loseConnection()
        link.settle()
        self.assertEqual(link.inner.text, taken)
        self.assertEqual(link.text, given_)
        self.assertIsInstance(link.end, SSL.ZeroReturnError)

    def test_interfaces(self) -> None:
        """It says what it is: who asks whether it is secure looks at that."""
        link = Link(True).shake_hands()
        self.assertTrue(ISSLTransport.providedBy(link.tls))
        self.assertTrue(INegotiated.providedBy(link.tls))
        shown = link.tls.getPeerCertificate().to_cryptography()
        self.assertIn("a.test", shown.subject.rfc4514_string())
        self.assertIsNone(link.tls.negotiatedProtocol)
        self.assertIsInstance(link.tls.getHandle(), SSL.Connection)
        self.assertEqual(link.tls.getPeer(), link.transport.getPeer())
        self.assertEqual(link.tls.getHost(), link.transport.getHost())
        link.hang_up()
        self.assertIsNone(link.tls.negotiatedProtocol)

    def test_new_handshake(self) -> None:
        """A server of TLS 1.2 asks for another handshake; both streams go on."""
        link = Link(True, SSL.TLS1_2_VERSION)
        link.shake_hands()
        self.assertTrue(link.peer.renegotiate())
        link.peer.do_handshake()
        link.tls.dataReceived(link.from_peer())
        link.tls.write(b"x" * 3 * RECORD_BYTES)
        link.tls.write(b"y")
        for _ in range(8):
            link.clock.advance(0)
            link.to_peer()
            data = link.from_peer()
            if data:
                link.tls.dataReceived(data)
        self.assertEqual(link.peer.total_renegotiations(), 1)
        link.settle()
        self.assertEqual(link.text, b"x" * 3 * RECORD_BYTES + b"y")
        link.peer.send(b"z")
        link.settle()
        self.assertEqual(link.inner.text, b"z")

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
        link.tls.dataReceived(data)
        self.assertTrue(link.transport.value())


class EndTests(SynchronousTestCase):
    @each_way
    def test_peer_ends_in_order(self, link: Link) -> None:
        """close_notify is answered with ours; the reason is the transport's."""
        link.shake_hands()
        link.peer.send(b"last")
        link.peer.shutdown()
        link.settle()
        self.assertEqual(link.inner.text, b"last")
        self.assertTrue(link.transport.disconnecting)
        self.assertIsInstance(link.end, SSL.ZeroReturnError)
        link.tls.write(b"too late")
        link.hang_up()
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionDone)
        self.assertEqual(link.clock.getDelayedCalls(), [])

    @each_way
    def test_answer_to_what_came_with_the_end(self, link: Link) -> None:
        """What is answered at once still goes out before our own end."""
        link.shake_hands()
        link.inner.on_data = lambda data: link.tls.write(b"answer")
        link.peer.send(b"question")
        link.peer.shutdown()
        link.settle()
        self.assertEqual(link.text, b"answer")

    @each_way
    def test_cut(self, link: Link) -> None:
        """The end of the transport without close_notify is no end in order."""
        link.shake_hands()
        link.peer.send(b"half a bo")
        link.settle()
        link.hang_up()
        self.assertEqual(link.inner.text, b"half a bo")
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionLost)

    @each_way
    def test_cut_in_handshake(self, link: Link) -> None:
        """The same before there was a stream."""
        link.connect()
        link.hang_up()
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionLost)

    @each_way
    def test_broken_record(self, link: Link) -> None:
        """A record that somebody has changed ends the connection, with an alert."""
        link.shake_hands()
        link.peer.send(b"good")
        link.tls.dataReceived(link.from_peer())
        link.peer.send(b"changed")
        sent = bytearray(link.from_peer())
        sent[-1] ^= 1
        link.transport.clear()
        link.tls.dataReceived(bytes(sent))
        self.assertEqual(link.inner.text, b"good")
        self.assertTrue(link.transport.disconnecting)
        link.to_peer()
        self.assertIn("alert", repr(link.end))
        link.tls.dataReceived(b"more")
        link.hang_up()
        assert link.inner.lost is not None
        link.inner.lost.trap(SSL.Error)

    @each_way
    def test_no_tls(self, link: Link) -> None:
        """Who does not speak TLS is closed; the protocol hears OpenSSL's reason."""
        link.connect()
        link.tls.dataReceived(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        self.assertTrue(link.transport.disconnecting)
        link.hang_up()
        self.assertEqual(link.inner.handshakes, 0)
        assert link.inner.lost is not None
        link.inner.lost.trap(SSL.Error)

    @each_way
    def test_close(self, link: Link) -> None:
        """All that was written comes before close_notify; the peer's ends it."""
        link.shake_hands()
        link.tls.write(b"one")
        link.tls.write(b"x" * 100_000)
        link.tls.write(b"two")
        link.tls.loseConnection()
        link.tls.write(b"dropped")
        link.tls.writeSequence([b"dropped"])
        link.to_peer()
        self.assertEqual(link.text, b"one" + b"x" * 100_000 + b"two")
        self.assertIsInstance(link.end, SSL.ZeroReturnError)
        self.assertFalse(link.transport.disconnecting)
        link.peer.send(b"on its way")
        link.peer.shutdown()
        link.settle()
        self.assertEqual(link.inner.text, b"on its way")
        self.assertTrue(link.transport.disconnecting)

    @each_way
    def test_close_in_handshake(self, link: Link) -> None:
        """There is nothing to end: it is aborted, unless something was written."""
        link.connect()
        link.tls.loseConnection()
        self.assertTrue(link.transport.disconnected)

    @each_way
    def test_close_with_data_in_handshake(self, link: Link) -> None:
        """What was written is sent first."""
        link.connect()
        link.tls.write(b"all of it")
        link.tls.loseConnection()
        link.settle()
        self.assertEqual(link.text, b"all of it")
        self.assertIsInstance(link.end, SSL.ZeroReturnError)

    @each_way
    def test_abort(self, link: Link) -> None:
        """Nothing more is sent, no close_notify either, and nothing delivered."""
        link.shake_hands()
        link.tls.write(b"never sent")
        link.tls.abortConnection()
        link.tls.write(b"dropped")
        link.clock.advance(0)
        self.assertEqual(link.transport.value(), b"")
        link.peer.send(b"unread")
        link.tls.dataReceived(link.from_peer())
        self.assertEqual(link.inner.text, b"")
        link.tls.connectionLost(Failure(ConnectionAborted()))
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionAborted)

    @each_way
    def test_abort_while_it_receives(self, link: Link) -> None:
        """A protocol may abort in the middle of a delivery, close_notify behind it."""
        link.shake_hands()
        link.inner.on_data = lambda data: link.tls.abortConnection()
        link.peer.send(b"one")
        link.peer.send(b"two")
        link.peer.shutdown()
        link.tls.dataReceived(link.from_peer())
        self.assertEqual(link.inner.received, [b"onetwo"])
        self.assertEqual(link.transport.value(), b"")
        self.assertTrue(link.transport.disconnected)

    @each_way
    def test_lost_while_it_receives(self, link: Link) -> None:
        """The transport may be gone when a protocol is through with a delivery."""
        link.shake_hands()
        link.inner.on_data = lambda data: link.hang_up()
        link.peer.send(b"one")
        link.peer.shutdown()
        link.tls.dataReceived(link.from_peer())
        self.assertIsNotNone(link.inner.lost)

    @each_way
    def test_abort_when_secure(self, link: Link) -> None:
        """A protocol may abort as it hears of the handshake."""
        link.inner.handshakeCompleted = (  # type: ignore[method-assign]
            lambda: link.tls.abortConnection()
        )
        link.connect()
        link.tls.write(b"never sent")
        link.settle()
        self.assertTrue(link.transport.disconnected)
        self.assertEqual(link.text, b"")

    @each_way
    def test_error_in_protocol(self, link: Link) -> None:
        """An error of the protocol goes to the reactor, which closes; once."""
        link.shake_hands()

        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        link.inner.on_data = fail
        link.peer.send(b"one")
        with self.assertRaises(ZeroDivisionError):
            link.tls.dataReceived(link.from_peer())
        link.tls.connectionLost(Failure(ZeroDivisionError()))
        self.assertIsNotNone(link.inner.lost)
        self.assertEqual(link.factory.protocols, {})

    def test_verification_fails(self) -> None:
        """The protocol hears why a peer was not believed."""
        link = Link(True).connect()
        link.tls.failVerification(Failure(ZeroDivisionError()))
        link.hang_up()
        assert link.inner.lost is not None
        link.inner.lost.trap(ZeroDivisionError)

    def test_nothing_is_left(self) -> None:
        """A connection that is over needs no collector to go away."""
        link = Link().shake_hands()
        gone = weakref.ref(link.tls.getHandle())
        gc.disable()
        self.addCleanup(gc.enable)
        link.hang_up()
        self.assertIsNone(gone())


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


class Endless:
    """Writes chunks until it is paused; `pauses` counts how often it was."""

    def __init__(self, tls: Any, most: int = 10_000_000) -> None:
        self.pauses = self.resumes = self.stops = self.written = 0
        self.is_paused = False
        self._tls = tls
        self._most = most

    def run(self) -> None:
        while not self.is_paused and self.written < self._most:
            self.written += READ_BYTES
            self._tls.write(bytes(READ_BYTES))

    def pauseProducing(self) -> None:
        self.pauses += 1
        self.is_paused = True

    def resumeProducing(self) -> None:
        self.resumes += 1
        self.is_paused = False

    def stopProducing(self) -> None:
        self.stops += 1


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
                link.tls.dataReceived(wire[:size])
                wire = wire[size:]
                sizes.append(size)
        self.assertEqual(set(sizes), {READ_BYTES, WIDE_BYTES})
        self.assertEqual(sizes, sorted(sizes))
        link.tls.dataReceived(wire)
        self.assertEqual(link.inner.text, data * parts)

    def test_reading(self) -> None:
        """To pause this transport is to pause the one below."""
        link = Link().shake_hands()
        link.tls.pauseProducing()
        self.assertEqual(link.transport.producerState, "paused")
        link.tls.resumeProducing()
        self.assertEqual(link.transport.producerState, "producing")


class PullTests(TestCase):
    timeout = 20

    async def test_pull(self) -> None:
        """A producer that is asked for each piece is asked until it is through."""
        link = Link().shake_hands()
        done: Deferred[None] = Deferred()

        class Pieces:
            left = 3

            def resumeProducing(self) -> None:
                self.left -= 1
                link.tls.write(b"piece")
                if not self.left:
                    link.tls.unregisterProducer()
                    done.callback(None)

            def stopProducing(self) -> None:
                raise AssertionError

        link.tls.registerProducer(Pieces(), False)
        await done
        link.tls.loseConnection()
        link.settle()
        self.assertEqual(link.text, b"piece" * 3)
        self.assertIsInstance(link.end, SSL.ZeroReturnError)
