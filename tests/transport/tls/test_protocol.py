"""TLS in both directions, against pyOpenSSL itself."""

from __future__ import annotations

import gc
import weakref

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import INegotiated, ISSLTransport
from twisted.internet.main import CONNECTION_LOST
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.pyopenssl_private import RECORD_BYTES
from tests.tlspeer import VERSIONS, Link, each_way


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
    def test_split_anywhere(self, link: Link) -> None:
        """Bytes that come one by one are the same stream, the handshake included."""
        link.connect()
        link.peer.set_app_data(None)
        while True:
            link.clock.advance(0)
            sent = link.to_peer()
            data = link.from_peer()
            for n in range(len(data)):
                link.feed(data[n : n + 1])
            if not (sent or data):
                break
        link.peer.send(b"x" * 20)
        for byte in link.from_peer():
            link.feed(bytes([byte]))
        self.assertEqual(link.inner.text, b"x" * 20)

    @each_way
    def test_no_record(self, link: Link) -> None:
        """What begins as no record does ends the stream before more of it comes."""
        link.shake_hands()
        link.peer.send(b"good")
        data = link.from_peer()
        link.feed(data[:9])
        link.feed(data[9:] + b"GET /")
        self.assertEqual(link.inner.text, b"good")
        self.assertTrue(link.is_closed)

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
                link.feed(link.from_peer())
        link.settle()
        self.assertEqual(link.inner.text, b"early")

    @each_way
    def test_one_record_for_one_turn(self, link: Link) -> None:
        """Small writes wait for the end of the turn, a full record does not."""
        link.shake_hands()
        for piece in (b"HTTP/1.1 200 OK\r\n", b"\r\n", b"body"):
            link.tls.write(piece)
        self.assertEqual(link.sent(), b"")
        link.clock.advance(0)
        length = len(b"HTTP/1.1 200 OK\r\n\r\nbody")
        self.assertLess(len(link.sent()), length + 40)
        link.to_peer()
        link.tls.write(bytes(RECORD_BYTES))
        self.assertGreater(len(link.sent()), RECORD_BYTES)
        self.assertEqual(link.clock.getDelayedCalls(), [])

    @each_way
    def test_sequence(self, link: Link) -> None:
        """A sequence is one record at once, with what was written before it."""
        link.shake_hands()
        link.tls.writeSequence((b"HTTP/1.1 200 OK\r\n\r\n", b"body"))
        length = len(b"HTTP/1.1 200 OK\r\n\r\nbody")
        self.assertLess(len(link.sent()), length + 40)
        link.to_peer()
        self.assertEqual(link.text, b"HTTP/1.1 200 OK\r\n\r\nbody")
        link.tls.write(b"before, ")
        link.tls.writeSequence(iter([b"in", b"", b" order"]))
        link.to_peer()
        self.assertTrue(link.text.endswith(b"bodybefore, in order"))
        link.tls.writeSequence((b"", b""))
        self.assertEqual(link.sent(), b"")
        link.settle()
        self.assertEqual(link.clock.getDelayedCalls(), [])

    @each_way
    def test_sequence_after_the_end(self, link: Link) -> None:
        """After the end nothing more is sent, in whatever way it is written."""
        link.shake_hands()
        link.tls.loseConnection()
        link.tls.writeSequence((b"dropped",))
        link.settle()
        self.assertEqual(link.text, b"")
        self.assertIsInstance(link.end, SSL.ZeroReturnError)
        link.peer.shutdown()
        link.settle()
        link.tls.writeSequence((b"dropped",))
        self.assertEqual(link.sent(), b"")

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
                link.feed(wire[:size])
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
        link.feed(link.from_peer())
        link.tls.write(b"x" * 3 * RECORD_BYTES)
        link.tls.write(b"y")
        for _ in range(8):
            link.clock.advance(0)
            link.to_peer()
            data = link.from_peer()
            if data:
                link.feed(data)
        self.assertEqual(link.peer.total_renegotiations(), 1)
        link.settle()
        self.assertEqual(link.text, b"x" * 3 * RECORD_BYTES + b"y")
        link.peer.send(b"z")
        link.settle()
        self.assertEqual(link.inner.text, b"z")


class EndTests(SynchronousTestCase):
    @each_way
    def test_peer_ends_in_order(self, link: Link) -> None:
        """close_notify is answered with ours; the reason is the transport's."""
        link.shake_hands()
        link.peer.send(b"last")
        link.peer.shutdown()
        link.settle()
        self.assertEqual(link.inner.text, b"last")
        self.assertTrue(link.is_closed)
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
        link.feed(link.from_peer())
        link.peer.send(b"changed")
        sent = bytearray(link.from_peer())
        sent[-1] ^= 1
        link.take_sent()
        link.feed(bytes(sent))
        self.assertEqual(link.inner.text, b"good")
        self.assertTrue(link.is_closed)
        link.to_peer()
        self.assertIn("alert", repr(link.end))
        link.feed(b"more")
        link.hang_up()
        assert link.inner.lost is not None
        link.inner.lost.trap(SSL.Error)

    @each_way
    def test_no_tls(self, link: Link) -> None:
        """Who does not speak TLS is closed; the protocol hears OpenSSL's reason."""
        link.connect()
        link.feed(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        self.assertTrue(link.is_closed)
        link.hang_up()
        self.assertEqual(link.inner.handshakes, 0)
        assert link.inner.lost is not None
        link.inner.lost.trap(SSL.Error)

    @each_way
    def test_error_of_its_own(self, link: Link) -> None:
        """What is raised somewhere keeps nothing alive of one end after the other."""
        link.shake_hands()
        link.hang_up()
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionLost)
        self.assertIsNot(link.inner.lost.value, CONNECTION_LOST)

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
        self.assertFalse(link.is_closed)
        link.peer.send(b"on its way")
        link.peer.shutdown()
        link.settle()
        self.assertEqual(link.inner.text, b"on its way")
        self.assertTrue(link.is_closed)

    @each_way
    def test_close_in_handshake(self, link: Link) -> None:
        """There is nothing to end: it is aborted, unless something was written."""
        link.connect()
        link.tls.loseConnection()
        self.assertTrue(link.is_closed)

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
        self.assertEqual(link.sent(), b"")
        link.peer.send(b"unread")
        link.feed(link.from_peer())
        self.assertEqual(link.inner.text, b"")
        link.lose(ConnectionAborted())
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionAborted)

    @each_way
    def test_lost_while_it_receives(self, link: Link) -> None:
        """The transport may be gone when a protocol is through with a delivery."""
        link.shake_hands()
        link.inner.on_data = lambda data: link.hang_up()
        link.peer.send(b"one")
        link.peer.shutdown()
        link.feed(link.from_peer())
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
        self.assertTrue(link.is_closed)
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
            link.feed(link.from_peer())
        link.lose(ZeroDivisionError())
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
