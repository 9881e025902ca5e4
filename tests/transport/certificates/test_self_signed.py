"""The certificate that regbroker makes for itself."""

from __future__ import annotations

import os
import stat
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import StateError
from regbroker.transport.certificates.self_signed import self_signed
from regbroker.transport.certificates.served import certificate_options
from tests.certificates import Pair, authority, issued


class SelfSignedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()) / "state"

    def made(self, *hosts: str) -> tuple[Pair, list[Path]]:
        """Make a pair, or take the one that is there."""
        paths = list(self_signed(self.directory, hosts))
        return Pair(paths[0].read_bytes(), paths[1].read_bytes()), paths

    def test_made(self) -> None:
        """P-256, for the hosts and for this machine, the key for its owner only."""
        pair, paths = self.made("registry.test", "[::2]")
        certificate = pair.loaded()
        key: Any = certificate.public_key()
        self.assertIsInstance(key.curve, ec.SECP256R1)
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        self.assertEqual(
            set(extension.value),
            {
                x509.DNSName("registry.test"),
                x509.DNSName("localhost"),
                *(x509.IPAddress(ip_address(a)) for a in ("::1", "::2", "127.0.0.1")),
            },
        )
        self.assertEqual(stat.S_IMODE(os.stat(paths[1]).st_mode), 0o600)
        self.assertEqual(
            sorted(path.name for path in self.directory.iterdir()),
            ["self-signed.key", "self-signed.pem"],
        )
        certificate_options(pair.certificate, pair.key)

    def test_mode_whatever_the_umask(self) -> None:
        """An open umask does not open the key."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        _, paths = self.made()
        self.assertEqual(stat.S_IMODE(os.stat(paths[1]).st_mode), 0o600)

    def test_reused(self) -> None:
        """The pair outlives a restart, also when it serves more than is asked."""
        first, _ = self.made("a.test", "b.test")
        self.assertEqual(self.made("a.test")[0], first)

    def test_renewed_for_another_host(self) -> None:
        """A host that it does not serve makes a new one."""
        first, _ = self.made("a.test")
        second, _ = self.made("a.test", "b.test")
        self.assertNotEqual(second, first)

    def test_renewed_before_its_end(self) -> None:
        """A pair that ends within a month is made anew."""
        first, paths = self.made()
        names = ("localhost", "127.0.0.1", "::1")
        for days, kept in ((31, True), (29, False)):
            pair = issued(*names, days=days)
            paths[0].write_bytes(pair.certificate)
            paths[1].write_bytes(pair.key)
            self.assertEqual(self.made()[0] == pair, kept)
        left = self.made()[0].loaded().not_valid_after_utc - datetime.now(timezone.utc)
        self.assertGreater(left, timedelta(days=365))
        self.assertNotEqual(self.made()[0], first)

    def test_renewed_when_broken(self) -> None:
        """So is one that cannot be used: cut off, or of two pairs."""
        first, paths = self.made()
        paths[1].write_bytes(issued("localhost").key)
        second, _ = self.made()
        self.assertNotEqual(second, first)
        certificate_options(second.certificate, second.key)
        paths[0].write_bytes(b"")
        third, _ = self.made()
        certificate_options(third.certificate, third.key)

    def test_renewed_without_names(self) -> None:
        """A certificate that somebody else made, without names, is replaced."""
        _, paths = self.made()
        plain = authority()
        paths[0].write_bytes(plain.certificate)
        paths[1].write_bytes(plain.key)
        self.assertNotEqual(self.made()[0], plain)

    def test_nowhere_to_keep_it(self) -> None:
        """A directory that cannot be made is a sentence, not a traceback."""
        self.directory.parent.write_text("a file in the way")
        with self.assertRaises(StateError) as caught:
            self_signed(self.directory, [])
        self.assertIn("[regbroker] state-directory: ", str(caught.exception))
