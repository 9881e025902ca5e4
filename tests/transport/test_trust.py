"""Certificates as clients see them, and as upstreams show theirs."""

from __future__ import annotations

import os
import stat
from codecs import BOM_UTF8
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path, PurePath
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import ConfigurationError, StateError
from regbroker.protocol.origins import Origin
from regbroker.transport.certificates import certificate_options, load_certificates
from regbroker.transport.listeners import CertificateFiles
from regbroker.transport.self_signed import self_signed
from regbroker.transport.trust import Trust
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
        chain: Any = options.extraCertChain
        self.assertEqual([c.get_subject().CN for c in chain], ["Test CA"])


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
            TLSMemoryBIOFactory(load_certificates(entries, None), False, factory),
            interface="127.0.0.1",
        )

    async def tear_down(self) -> None:
        await self.listening.stopListening()

    async def greeted(self, looking: Looking) -> Any:
        """Connect, and see that the handshake is good."""
        client = await self.connect_to(self.listening.getHost().port, looking)
        self.assertEqual(await client.until(b"\n"), b"hello\n")
        return looking.connection

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
        self.assertEqual(looking.connection.get_alpn_proto_negotiated(), b"")


class TrustTests(SynchronousTestCase):
    def test_endpoints_are_kept(self) -> None:
        """An origin's endpoint, and its TLS options with it, is made once."""
        trust = Trust()
        origin = Origin("https", "registry.test", 443)
        endpoint = trust.endpoint(cast(Any, object()), origin, 1)
        self.assertIs(trust.endpoint(cast(Any, object()), origin, 1), endpoint)
        other = trust.endpoint(
            cast(Any, object()), Origin("http", "registry.test", 80), 1
        )
        self.assertIsNot(other, endpoint)

    def test_ca_file(self) -> None:
        """A file without certificates is refused; one with several is taken."""
        path = Path(self.mktemp())
        path.write_bytes(b"")
        with self.assertRaises(ValueError):
            Trust(path)
        path.write_bytes(authority("One").certificate + authority("Two").certificate)
        Trust(path)
