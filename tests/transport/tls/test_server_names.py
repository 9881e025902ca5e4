"""The server name is read before TLS is, however it comes."""

from __future__ import annotations

import shutil
import ssl
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.certificates.served import load_certificates
from regbroker.transport.listening.listeners import CertificateFiles
from tests.certificates import issued
from tests.resuming import ResumingClient


class ServerNamesTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        files = [
            CertificateFiles(host, *issued(name).write(directory, name))
            for host, name in (("", "default.test"), ("a.test", "a.test"))
        ]
        self.several = load_certificates(files, None)
        self.one = load_certificates(files[:1], None)

    def test_pieces(self) -> None:
        """In one piece or byte by byte, the name picks the certificate."""
        for piece in (1, 7, 2**14):
            client = ResumingClient(ssl.TLSVersion.TLSv1_3, piece=piece)
            for host in ("a.test", "default.test"):
                self.assertEqual(client.connect(self.several, host).names, {host})

    def test_one_certificate(self) -> None:
        """Where the name makes no difference, nothing waits for it."""
        self.assertFalse(self.one.needs_name)
        client = ResumingClient(ssl.TLSVersion.TLSv1_3, piece=1)
        self.assertEqual(client.connect(self.one).names, {"default.test"})
