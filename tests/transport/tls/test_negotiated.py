"""What a handshake has agreed on."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.interfaces import INegotiated, ISystemHandle
from twisted.trial.unittest import SynchronousTestCase

from tests.tlspeer import Link


class NegotiatedTests(SynchronousTestCase):
    def test_shown(self) -> None:
        """Interfaces, handle and peer are those of Twisted's TLS."""
        link = Link(True).shake_hands()
        self.assertTrue(INegotiated.providedBy(link.tls))
        self.assertTrue(ISystemHandle.providedBy(link.tls))
        self.assertIsInstance(link.tls.getHandle(), SSL.Connection)
        shown = link.tls.getPeerCertificate().to_cryptography()
        self.assertIn("a.test", shown.subject.rfc4514_string())

    def test_version(self) -> None:
        """It is the one that both sides speak."""
        for newest, name in (
            (SSL.TLS1_2_VERSION, "TLSv1.2"),
            (SSL.TLS1_3_VERSION, "TLSv1.3"),
        ):
            self.assertEqual(Link(True, newest).shake_hands().tls.version, name)

    def test_protocol(self) -> None:
        """Nothing is negotiated where nobody offers it, and when all is over."""
        link = Link(True).shake_hands()
        self.assertIsNone(link.tls.negotiatedProtocol)
        link.hang_up()
        self.assertIsNone(link.tls.negotiatedProtocol)
