"""Sessions resume, and only where they may."""

from __future__ import annotations

import shutil
import ssl
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.certificates.served import load_certificates
from regbroker.transport.listening.listeners import CertificateFiles
from regbroker.transport.tls.server_options import ServerOptions
from regbroker.transport.tls.session_tickets import KEY_SECONDS, TicketKeys
from tests.certificates import authority, issued
from tests.resuming import ResumingClient

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


class ResumingTests(SynchronousTestCase):
    """A default certificate, and one for b.test; clients that were here before."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.time = 0.0
        self.keys = TicketKeys(lambda: self.time)

    def options(
        self, default: str = "a.test", client_ca: str | None = None
    ) -> ServerOptions:
        """Server options, with contexts of their own."""
        files = [
            CertificateFiles("", *issued(default).write(self.directory, "a")),
            CertificateFiles("b.test", *issued("b.test").write(self.directory, "b")),
        ]
        path = None
        if client_ca is not None:
            path = self.directory / "ca.pem"
            path.write_bytes(authority(client_ca).certificate)
        return load_certificates(files, None, path, self.keys)

    def client(self, newest: ssl.TLSVersion, by: str = "Test CA") -> ResumingClient:
        """A client with a certificate."""
        identity = issued("client.test", by=by).write(self.directory, "client")
        return ResumingClient(newest, identity)

    def test_resumed(self) -> None:
        """A session goes on, also where the options are new ones that say the same."""
        for newest in VERSIONS:
            client = ResumingClient(newest)
            first = client.connect(self.options())
            self.assertFalse(first.is_resumed)
            again = client.connect(self.options(), session=first.session)
            self.assertTrue(again.is_resumed, newest)
            self.assertTrue(
                client.connect(self.options(), session=again.session).is_resumed
            )

    def test_another_name(self) -> None:
        """A session of one name's certificate is none for another one's."""
        for newest in VERSIONS:
            client, options = ResumingClient(newest), self.options()
            first = client.connect(options)
            other = client.connect(options, "b.test", first.session)
            self.assertFalse(other.is_resumed, newest)
            self.assertEqual(other.names, {"b.test"})
            self.assertTrue(client.connect(options, "b.test", other.session).is_resumed)
            back = client.connect(options, "a.test", other.session)
            self.assertFalse(back.is_resumed, newest)
            self.assertEqual(back.names, {"a.test"})

    def test_another_certificate(self) -> None:
        """With another certificate, sessions begin anew."""
        for newest in VERSIONS:
            client = ResumingClient(newest)
            first = client.connect(self.options())
            other = client.connect(self.options("new.test"), session=first.session)
            self.assertFalse(other.is_resumed, newest)
            self.assertEqual(other.names, {"new.test"})

    def test_keys_end(self) -> None:
        """After a day, no ticket of the day before is taken."""
        for newest in VERSIONS:
            client, options = ResumingClient(newest), self.options()
            first = client.connect(options)
            self.time += KEY_SECONDS
            other = client.connect(options, session=first.session)
            self.assertFalse(other.is_resumed, newest)
            self.assertTrue(client.connect(options, session=other.session).is_resumed)

    def test_client_certificate(self) -> None:
        """Who has resumed is still who he was."""
        for newest in VERSIONS:
            client, options = self.client(newest), self.options(client_ca="Test CA")
            first = client.connect(options)
            self.assertEqual(first.client, "CN=client.test")
            again = client.connect(options, session=first.session)
            self.assertTrue(again.is_resumed, newest)
            self.assertEqual(again.client, "CN=client.test")

    def test_another_authority(self) -> None:
        """A session that somebody else has certified does not go on."""
        for newest in VERSIONS:
            client = ResumingClient(newest)
            first = client.connect(self.options(client_ca="Test CA"))
            other = client.connect(
                self.options(client_ca="Other CA"), session=first.session
            )
            self.assertFalse(other.is_resumed, newest)
            # Nor one from before client certificates were wanted.
            first = client.connect(self.options())
            other = client.connect(
                self.options(client_ca="Test CA"), session=first.session
            )
            self.assertFalse(other.is_resumed, newest)

    def test_wrong_certificate(self) -> None:
        """Resuming brings nobody in whose certificate is refused."""
        options = self.options(client_ca="Test CA")
        client = self.client(ssl.TLSVersion.TLSv1_2, by="Other CA")
        self.assertRaises(ssl.SSLError, client.connect, options)
