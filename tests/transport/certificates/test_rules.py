"""What clients will not like about a certificate."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.certificates.rules import (
    certificate_warnings,
    hosts_of,
    is_for,
    name_of,
)
from tests.certificates import authority, issued, small_pair

NOW = datetime.now(timezone.utc)


class CertificateRulesTests(SynchronousTestCase):
    def said(
        self, *chain: x509.Certificate, later: timedelta = timedelta(0)
    ) -> list[str]:
        """The warnings about a chain, some time from now."""
        return list(certificate_warnings(chain, NOW + later))

    def test_good(self) -> None:
        """A certificate of today, with or without who has signed it."""
        good = issued("a.test").loaded()
        self.assertEqual(self.said(good), [])
        self.assertEqual(self.said(good, authority().loaded()), [])

    def test_times(self) -> None:
        """Expired, about to, and not yet valid."""
        good = issued("a.test").loaded()
        for days, words in ((40, "expired"), (20, "expires on"), (-3, "not valid bef")):
            (line,) = self.said(good, later=timedelta(days=days))
            self.assertIn(words, line)
        lines = self.said(good, authority().loaded(), later=timedelta(days=400))
        self.assertEqual(len(lines), 2)
        self.assertIn("certificate 2 of the file, 'Test CA': it has expired", lines[1])

    def test_order(self) -> None:
        """Each certificate has been signed by the next one."""
        good, ca = issued("a.test").loaded(), authority().loaded()
        other = authority("Other CA").loaded()
        (line,) = self.said(good, other)
        self.assertIn("the order of the chain is wrong: certificate 1, a.test", line)
        self.assertIn("put the certificate of 'Test CA' there", line)
        (line, *_) = self.said(good, other, ca)
        self.assertIn("move certificate 3 behind it", line)
        (line, *_) = self.said(ca, good)
        self.assertIn("put the certificate of 'Test CA' there", line)
        (line,) = self.said(good, good)
        self.assertIn("there twice", line)

    def test_weak(self) -> None:
        """Small keys."""
        lines = self.said(small_pair().loaded())
        self.assertIn("1024 bits", lines[0])

    def test_without_names(self) -> None:
        """A common name alone is no host; a key without a size is not weak."""
        key = ed25519.Ed25519PrivateKey.generate()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.test")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=90))
            .sign(key, None)
        )
        (line,) = self.said(made)
        self.assertIn("subjectAltName", line)
        self.assertEqual((hosts_of(made), name_of(made)), ((), "'a.test'"))

    def test_hosts(self) -> None:
        """Names, one label for a star, addresses with brackets or without."""
        certificate = issued("a.test", "*.b.test", "::1", "127.0.0.1").loaded()
        for host, expected in (
            ("a.test", True),
            ("b.test", False),
            ("x.b.test", True),
            ("x.y.b.test", False),
            ("*.b.test", True),
            ("[::1]", True),
            ("::1", True),
            ("127.0.0.1", True),
            ("127.0.0.2", False),
        ):
            self.assertIs(is_for(certificate, host), expected, host)
