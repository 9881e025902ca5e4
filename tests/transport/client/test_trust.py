"""Whom regbroker trusts when it connects."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, cast

from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.origins import Origin
from regbroker.transport.client.trust import Trust, client_options, trust_root
from tests.certificates import Pair, authority, issued


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


class HandshakeTests(SynchronousTestCase):
    """What a server shows in a handshake, through memory."""

    def said(self, host: str, pair: Pair) -> str:
        """Why a server's certificate is not believed; empty where it is."""
        ca_file = Path(self.mktemp())
        ca_file.write_bytes(authority().certificate)
        options: Any = client_options(host, trust_root(ca_file))
        client = options.clientConnectionForTLS(None)
        client.set_connect_state()
        shown = CertificateOptions(
            privateKey=crypto.PKey.from_cryptography_key(pair.private()),
            certificate=crypto.X509.from_cryptography(pair.loaded()),
        )
        server = SSL.Connection(shown.getContext(), None)
        server.set_accept_state()
        with capturedLogs() as events:
            is_believed = self.shake_hands(client, server)
        lines = [formatEvent(event) for event in events]
        self.assertEqual(is_believed, not lines, lines)
        return "".join(lines)

    def shake_hands(self, client: SSL.Connection, server: SSL.Connection) -> bool:
        """Tell whether two connections come to an agreement."""
        for _ in range(4):
            for one, other in ((client, server), (server, client)):
                try:
                    one.do_handshake()
                except SSL.WantReadError:
                    pass
                except SSL.Error:
                    return False
                with contextlib.suppress(SSL.WantReadError):
                    other.bio_write(one.bio_read(1 << 16))
        return client.get_finished() is not None

    def test_believed(self) -> None:
        """A certificate that is for the host, by name, star or address."""
        for host, name in (
            ("a.test", "a.test"),
            ("x.a.test", "*.a.test"),
            ("127.0.0.1", "127.0.0.1"),
        ):
            self.assertEqual(self.said(host, issued(name)), "", host)

    def test_other_name(self) -> None:
        """One for another host is not, nor one that names no host as it should."""
        for host, pair in (
            ("a.test", issued("b.test")),
            ("x.y.a.test", issued("*.a.test")),
            ("127.0.0.1", issued("localhost")),
            ("127.0.0.1", issued("127.0.0.2")),
            ("localhost", authority()),
        ):
            said = self.said(host, pair)
            self.assertIn(f"the certificate of {host} is not to be trusted", said)

    def test_refused(self) -> None:
        """Nor one of another authority, or one that is over: the log says why."""
        for pair, why in (
            (issued("a.test", by="Other CA"), "who issued it is not known here"),
            (issued("a.test", days=-1), "it has expired"),
        ):
            said = self.said("a.test", pair)
            self.assertIn("the certificate of a.test is refused", said)
            self.assertIn(why, said)
