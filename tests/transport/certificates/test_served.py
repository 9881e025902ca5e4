"""Server certificates: files, server names, and what TLS is spoken."""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path, PurePath
from typing import Any

from OpenSSL import SSL
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import ConfigurationError
from regbroker.transport.certificates.served import (
    certificate_options,
    load_certificates,
)
from regbroker.transport.client.trust import Trust
from regbroker.transport.listening.listeners import CertificateFiles
from regbroker.transport.tls.server_names import ServerTLSFactory
from tests.certificates import Looking, Pair, authority, issued, pem_of
from tests.proxycase import SocketTestCase
from tests.wire import Ended, Wire


class CertificateOptionsTests(SynchronousTestCase):
    def assert_wrong(self, certificate: bytes, key: bytes, said: str) -> None:
        """These two cannot be used, for the reason that is said."""
        with self.assertRaises(ValueError) as caught:
            certificate_options(certificate, key)
        self.assertIn(said, str(caught.exception))

    def test_wrong(self) -> None:
        """What is wrong with a pair is said in words."""
        pair, other = issued("a.test"), issued("b.test")
        locked = pem_of(pair.private(), b"secret")
        self.assert_wrong(b"nonsense", pair.key, "certificate is no PEM")
        self.assert_wrong(pair.certificate, b"nonsense", "key is no PEM")
        self.assert_wrong(pair.certificate, locked, "encrypted")
        self.assert_wrong(
            pair.certificate, other.key, "the key does not belong to the certificate"
        )

    def test_chain(self) -> None:
        """Certificates after the first are sent along."""
        pair = issued("a.test")
        options = certificate_options(
            pair.certificate + authority().certificate, pair.key
        )
        client = Looking("a.test").clientConnectionForTLS(None)
        server = options.serverConnectionForTLS(None)
        server.set_accept_state()
        for one, other in ((client, server), (server, client)):
            with self.assertRaises(SSL.WantReadError):
                one.do_handshake()
            other.bio_write(one.bio_read(2**16))
        client.do_handshake()
        chain = client.get_peer_cert_chain(as_cryptography=True)
        subjects = [each.subject.rfc4514_string() for each in chain or ()]
        self.assertEqual(subjects, ["CN=a.test", "CN=Test CA"])


class LoadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def files(self, host: str, pair: Pair, name: str) -> CertificateFiles:
        """Write a pair, and configure it for a host."""
        certificate, key = pair.write(self.directory, name)
        return CertificateFiles(host, certificate, key)

    def test_byte_order_mark(self) -> None:
        """What some editors write before a PEM file does not matter."""
        pair = issued("a.test")
        entry = self.files("a.test", pair, "marked")
        for path in (Path(entry.certificate), Path(entry.key)):
            path.write_bytes(BOM_UTF8 + path.read_bytes())
        load_certificates([entry], None)
        Trust(Path(entry.certificate))

    def test_every_problem(self) -> None:
        """All files that cannot be used are named at once."""
        mixed = Pair(issued("a.test").certificate, issued("b.test").key)
        missing = PurePath(self.directory / "missing")
        with self.assertRaises(ConfigurationError) as caught:
            load_certificates(
                [
                    self.files("a.test", mixed, "mixed"),
                    CertificateFiles("", missing, missing),
                ],
                None,
            )
        first, second = caught.exception.problems
        self.assertTrue(first.startswith("[tls a.test] key: "), first)
        self.assertIn("mixed.key: the key does not belong to the certificate", first)
        self.assertTrue(second.startswith("[tls] certificate: "), second)
        self.assertIn("No such file", second)

    def test_client_ca(self) -> None:
        """A file that certifies no client is a problem of its own option."""
        directory = Path(self.mktemp())
        directory.mkdir()
        pair = issued("a.test").write(directory, "a")
        files = [CertificateFiles("", *pair)]
        good = directory / "ca.pem"
        good.write_bytes(authority().certificate)
        context = load_certificates(files, None, good).getContext()
        mode = context.get_verify_mode()
        self.assertTrue(mode & SSL.VERIFY_PEER)
        self.assertFalse(mode & SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
        context = load_certificates(files, None).getContext()
        self.assertEqual(context.get_verify_mode(), SSL.VERIFY_NONE)
        for wrong in (pair[1], directory / "missing.pem"):
            with self.assertRaises(ConfigurationError) as caught:
                load_certificates(files, None, wrong)
            (problem,) = caught.exception.problems
            self.assertIn(f"[regbroker] client-ca: {wrong}: ", problem)


class Greeting(Wire):
    """Says something as soon as it is connected."""

    def connectionMade(self) -> None:
        self.send(b"hello\n")


class ServerTests(SocketTestCase):
    """The options that `load_certificates` makes, in front of a port."""

    async def set_up(self) -> None:
        await super().set_up()
        directory = Path(self.mktemp())
        directory.mkdir()
        entries = []
        for host, names, kind in (
            ("", ("default.test",), "rsa"),
            ("a.test", ("a.test",), "ec"),
            ("*.wild.test", ("*.wild.test",), "ec"),
        ):
            pair = issued(*names, kind=kind).write(directory, names[0])
            entries.append(CertificateFiles(host, *pair))
        factory: Any = Factory.forProtocol(Greeting)
        factory.noisy = False
        self.listening = self.reactor.listenTCP(
            0,
            ServerTLSFactory(load_certificates(entries, None), factory),
            interface="127.0.0.1",
        )

    async def tear_down(self) -> None:
        await self.listening.stopListening()

    async def greeted(self, looking: Looking) -> Any:
        """Connect, and see that the handshake is good."""
        client = await self.connect_to(self.listening.getHost().port, looking)
        self.assertEqual(await client.until(b"\n"), b"hello\n")
        return looking.looking

    async def assert_refused(self, looking: Looking) -> None:
        """There is no handshake with this client."""
        client = await self.connect_to(self.listening.getHost().port, looking)
        with self.assertRaises(Ended):
            await client.until(b"\n")

    async def test_server_names(self) -> None:
        """SNI picks the certificate, in whatever case; others get the default."""
        for asked, shown in (
            ("", "default.test"),
            ("other.test", "default.test"),
            ("a.test", "a.test"),
            ("A.Test", "a.test"),
            ("x.a.test", "default.test"),
            ("x.wild.test", "*.wild.test"),
            ("wild.test", "default.test"),
            ("x.y.wild.test", "default.test"),
        ):
            looking = Looking(asked)
            await self.greeted(looking)
            self.assertEqual(looking.names, {shown}, asked)

    async def test_versions(self) -> None:
        """TLS 1.3 and 1.2, whatever the name; nothing older."""
        for name in ("", "a.test"):
            for newest in (SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION):
                connection = await self.greeted(Looking(name, newest=newest))
                self.assertEqual(connection.get_protocol_version(), newest)
            for newest in (SSL.TLS1_1_VERSION, SSL.TLS1_VERSION):
                await self.assert_refused(Looking(name, newest=newest))

    async def test_ciphers(self) -> None:
        """Keys are ephemeral and encryption is authenticated, or there is none."""
        for name, good in (
            ("", "ECDHE-RSA-AES128-GCM-SHA256"),
            ("", "ECDHE-RSA-CHACHA20-POLY1305"),
            ("a.test", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ):
            connection = await self.greeted(
                Looking(name, newest=SSL.TLS1_2_VERSION, ciphers=good)
            )
            self.assertEqual(connection.get_cipher_name(), good)
        for name, bad in (
            ("", "AES128-GCM-SHA256:AES256-GCM-SHA384"),
            ("", "AES128-SHA:AES256-SHA256"),
            ("", "ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA384"),
            ("a.test", "ECDHE-ECDSA-AES128-SHA"),
            ("", "aNULL:@SECLEVEL=0"),
        ):
            await self.assert_refused(
                Looking(name, ciphers=bad, newest=SSL.TLS1_2_VERSION)
            )

    async def test_protocols(self) -> None:
        """HTTP/1.1 is agreed upon, also with a client that prefers HTTP/2."""
        for name in ("", "a.test"):
            both = Looking(name, protocols=(b"h2", b"http/1.1"))
            connection = await self.greeted(both)
            self.assertEqual(connection.get_alpn_proto_negotiated(), b"http/1.1")

    async def test_http_2_alone(self) -> None:
        """A client that knows HTTP/2 alone is not told that it may speak it."""
        looking = Looking(protocols=(b"h2",))
        client = await self.connect_to(self.listening.getHost().port, looking)
        try:
            await client.until(b"\n")
        except Ended:
            return
        self.assertEqual(looking.looking.get_alpn_proto_negotiated(), b"")
