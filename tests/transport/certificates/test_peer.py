"""Whom the certificate of a connection names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from OpenSSL import crypto
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.certificates.peer import certificate_user
from tests.certificates import Pair, issued


def request(pair: Pair | None) -> Any:
    """A request on a connection with this certificate."""
    shown = None if pair is None else crypto.X509.from_cryptography(pair.loaded())
    transport = SimpleNamespace(getPeerCertificate=lambda: shown)
    return SimpleNamespace(channel=SimpleNamespace(transport=transport))


class PeerCertificateTests(SynchronousTestCase):
    def test_user(self) -> None:
        """The Common Name, and none of the alternative names."""
        self.assertEqual(certificate_user(request(issued("alice", "bob"))), "alice")

    def test_none(self) -> None:
        """Without a certificate, and without TLS, there is no user."""
        plain = SimpleNamespace(channel=SimpleNamespace(transport=object()))
        for each in (request(None), plain, SimpleNamespace(channel=None)):
            with self.assertRaisesRegex(ValueError, "has shown no certificate"):
                certificate_user(each)

    def test_over(self) -> None:
        """A certificate that is over by now names nobody."""
        with self.assertRaisesRegex(ValueError, "expired meanwhile"):
            certificate_user(request(issued("alice", days=-1)))

    def test_written_safely(self) -> None:
        """A name with other characters is written so that it imitates nobody."""
        shown = request(issued("team/bob"))
        self.assertEqual(certificate_user(shown), "team%2Fbob")
