"""Why a server was not reached, or is not trusted."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.doctor.diagnosis import (
    LISTEN,
    certificate_trouble,
    connection_trouble,
    not_http,
    socket_trouble,
)
from regbroker.protocol.origins import Origin
from tests.certificates import authority, issued

HTTPS = Origin("https", "a.test", 443)
HTTP = Origin("http", "a.test", 80)
NOW = datetime.now(timezone.utc)


class ConnectionTests(SynchronousTestCase):
    def test_what_runs(self) -> None:
        """Where a connection is refused, it is regbroker itself that may not run."""
        for where, what in ((LISTEN, "regbroker"), ("[upstream up] url", "the server")):
            refused = connection_trouble("refused", "", HTTPS, where)
            self.assertIn(f"whether {what} runs", refused.advice)
            for kind in ("refused", "missing"):
                said = socket_trouble(PurePath("/run/x"), kind, "", where)
                self.assertIn(f"whether {what} runs", said.advice)

    def test_words(self) -> None:
        """Each way to fail has its cause, and advice that names the option."""
        for kind, detail, origin, words in (
            ("name", "not known", HTTPS, "the name a.test is not known here"),
            ("refused", "", HTTPS, "nothing listens on port 443 of a.test"),
            ("timeout", "", HTTPS, "a firewall drops"),
            ("unreachable", "no route", HTTPS, "a.test cannot be reached: no route"),
            ("silent", "", HTTP, "does not answer in time"),
            ("closed", "", HTTP, "does it speak https?"),
            ("closed", "", HTTPS, "closed the connection without an answer"),
            ("tls", "wrong version number", HTTPS, "does it speak plain http?"),
            ("tls", "record layer failure", HTTPS, "does it speak plain http?"),
            ("tls", "tlsv1 alert protocol version", HTTPS, "older than 1.2"),
            ("tls", "certificate required", HTTPS, "a certificate of the client"),
            ("tls", "handshake failure", HTTPS, "fails: handshake failure"),
            ("tls", "", HTTPS, "the server closed the connection"),
            ("tls-timeout", "", HTTPS, "does not answer to TLS"),
        ):
            trouble = connection_trouble(kind, detail, origin, "WHERE")
            self.assertIn(words, trouble.problem, kind)
            self.assertTrue(trouble.advice, kind)

    def test_socket(self) -> None:
        """So has each way in which nobody is reached on a unix socket."""
        for kind, detail, words in (
            ("missing", "", "there is no socket /run/x"),
            ("denied", "Permission denied", "may not connect to /run/x: Permission"),
            ("refused", "", "nobody listens on the socket /run/x"),
            ("other", "Is a directory", "/run/x cannot be reached: Is a directory"),
            ("timeout", "", "/run/x cannot be reached: timeout"),
        ):
            trouble = socket_trouble(PurePath("/run/x"), kind, detail, "WHERE")
            self.assertIn(words, trouble.problem, kind)
            self.assertTrue(trouble.advice, kind)

    def test_not_http(self) -> None:
        """An alert of TLS is known; other bytes are shown without doing anything."""
        trouble = not_http(b"\x15\x03\x03\0\x02\x02\x46", HTTP, "WHERE")
        self.assertIn("it speaks https", trouble.problem)
        trouble = not_http(b"\x1b[2JSSH-2.0", HTTP, "WHERE")
        self.assertIn(r"'\x1b[2JSSH-2.0'", trouble.problem)

    def test_listener(self) -> None:
        """What names a listener has no scheme to change: another program answers."""
        for kind, detail, origin in (
            ("closed", "", HTTP),
            ("tls", "wrong version number", HTTPS),
            ("tls-timeout", "", HTTPS),
        ):
            trouble = connection_trouble(kind, detail, origin, LISTEN)
            self.assertEqual(trouble.advice, "see which program listens: ss -ltnp")
            trouble = connection_trouble(kind, detail, origin, "WHERE")
            self.assertIn(":// in WHERE", trouble.advice)
        trouble = not_http(b"\x15\x03\x03\0\x02\x02\x46", HTTP, LISTEN)
        self.assertEqual(trouble.advice, "see which program listens: ss -ltnp")


class CertificateTests(SynchronousTestCase):
    def said(
        self, *names: str, host: str = "a.test", days: int = 0, error: int = 0
    ) -> str:
        """What is said of a certificate for these names, in some days."""
        errors = [(0, error)] if error else []
        trouble = certificate_trouble(
            "a.test",
            [issued(*names).loaded()],
            errors,
            NOW + timedelta(days=days),
            where="[upstream up] url",
            ca_option="[upstream up] ca-file",
        )
        return "" if trouble is None else f"{trouble.problem} -> {trouble.advice}"

    def test_good(self) -> None:
        """Good today is good, though it expires soon."""
        self.assertEqual(self.said("a.test"), "")
        self.assertEqual(self.said("a.test", days=29), "")
        self.assertEqual(self.said("*.test"), "")

    def test_all_that_is_wrong(self) -> None:
        """Several things at once are all told."""
        said = self.said("b.test", days=40, error=20)
        for words in (
            "it has expired on ",
            "is not for a.test, but for b.test",
            "the CA that has signed it is not known here: CN=Test CA",
            "the server sends no certificate between",
            "[upstream up] ca-file",
        ):
            self.assertIn(words, said)
        self.assertIn("is not valid before", self.said("a.test", days=-3))

    def test_own_listener(self) -> None:
        """What regbroker itself shows is written in a section for the host."""
        trouble = certificate_trouble(
            "a.test", [issued("b.test").loaded()], [], NOW, where=LISTEN
        )
        assert trouble is not None
        self.assertEqual(
            trouble.advice, "write a certificate that is for a.test into [tls a.test]"
        )

    def test_self_signed(self) -> None:
        """A certificate that has signed itself."""
        ca = authority().loaded()
        trouble = certificate_trouble(
            "a.test", [ca], [(0, 18)], NOW, ca_option="[upstream up] ca-file"
        )
        assert trouble is not None
        self.assertIn("signed by itself", trouble.problem)
        self.assertIsNotNone(certificate_trouble("a.test", [], [], NOW))

    def test_expired_above(self) -> None:
        """A certificate of the chain that has expired is named."""
        chain = [issued("a.test", days=600).loaded(), authority().loaded()]
        trouble = certificate_trouble("a.test", chain, [], NOW + timedelta(days=500))
        assert trouble is not None
        self.assertIn("'Test CA' in the chain cannot be used", trouble.problem)
