"""The end of a peer, which may never come."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.pyopenssl_private import receive
from regbroker.transport.tls.memory_bios import drain
from regbroker.transport.tls.peer_end import END_SECONDS, is_end_of_file
from tests.tlspeer import Link, each_way
from tests.transport.tls.handshakes import connected


class PeerEndTests(SynchronousTestCase):
    @each_way
    def test_unanswered(self, link: Link) -> None:
        """A peer that has no end of its own is not waited for without end."""
        link.shake_hands()
        link.tls.loseConnection()
        link.clock.advance(END_SECONDS - 1)
        self.assertFalse(link.is_closed)
        link.clock.advance(1)
        self.assertTrue(link.is_closed)
        link.lose(ConnectionDone())
        assert link.inner.lost is not None
        link.inner.lost.trap(ConnectionLost)

    @each_way
    def test_answered(self, link: Link) -> None:
        """Nothing is left of the time that an end may take."""
        link.shake_hands()
        link.tls.loseConnection()
        link.settle()
        link.peer.shutdown()
        link.settle()
        self.assertTrue(link.is_closed)
        link.lose(ConnectionDone())
        self.assertEqual(link.clock.getDelayedCalls(), [])


class EndOfFileTests(SynchronousTestCase):
    def test_ends(self) -> None:
        """close_notify, a cut stream, and a broken record are told apart."""
        client, server = connected()
        client.shutdown()
        server.bio_write(b"".join(drain(client)))
        self.assertIsInstance(receive(server)[1], SSL.ZeroReturnError)
        client, server = connected()
        server.bio_shutdown()
        _, cut = receive(server)
        assert cut is not None
        self.assertTrue(is_end_of_file(cut))
        client, server = connected()
        server.bio_write(b"\x17\x03\x03\x00\x20" + bytes(32))
        _, broken = receive(server)
        assert broken is not None
        self.assertFalse(is_end_of_file(broken))

    def test_end_of_file_of_openssl(self) -> None:
        """No reason is the end, as are OpenSSL's word for it and a socket's errors."""
        for error, is_end in (
            (SSL.SysCallError(-1, "Unexpected EOF"), True),
            (SSL.SysCallError(104, "ECONNRESET"), True),
            (SSL.Error([]), True),
            (SSL.Error(), True),
            (SSL.Error([("SSL", "", "unexpected eof while reading")]), True),
            (SSL.Error([("SSL", "", "bad record mac")]), False),
        ):
            self.assertEqual(is_end_of_file(error), is_end, error)
