"""The end of a peer, which may never come."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.tls.peer_end import END_SECONDS
from tests.tlspeer import Link, each_way


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
