"""When certificates end."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin.certificates import served_certificate
from tests.certificates import issued


class CertificateTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Its names and its end."""
        found = served_certificate("tls", issued("a.test").certificate)
        self.assertEqual((found.section, found.names), ("tls", ("a.test",)))
        soon = datetime.now(timezone.utc) + timedelta(days=3650)
        self.assertLess(found.not_after, soon.timestamp())
        self.assertLess(datetime.now(timezone.utc).timestamp(), found.not_after)

    def test_none(self) -> None:
        """Where there is no certificate it says so."""
        self.assertRaises(ValueError, served_certificate, "tls", b"nothing")
