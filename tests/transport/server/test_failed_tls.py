"""Lines about connections that TLS has ended."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.bounded_lines import (
    MAX_LINES,
    MAX_LINES_OF_A_CLIENT,
    WINDOW_SECONDS,
)
from regbroker.transport.server.failed_tls import FailedTLS

VERIFY = SSL.Error([("SSL routines", "", "certificate verify failed")])


class FailedTLSTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.failed = FailedTLS(self.clock)

    def told(self, *cases: tuple[str, SSL.Error, str]) -> list[str]:
        """The lines about some connections, all of level info."""
        with capturedLogs() as events:
            for client, error, refused in cases:
                self.failed.tell(client, "tls:443", error, refused)
        self.assertLessEqual({e["log_level"] for e in events}, {LogLevel.info})
        return [str(formatEvent(event)) for event in events]

    def test_reasons(self) -> None:
        """The line says who, where, and why: our words, or the client's."""
        alert = SSL.Error([("SSL routines", "", "tlsv1 alert unknown ca")])
        two = SSL.Error([("x", "", "first"), ("SSL routines", "", "no shared cipher")])
        lines = self.told(
            ("192.0.2.1", VERIFY, "certificate has expired"),
            ("::ffff:192.0.2.1", alert, ""),
            ("2001:db8::1", two, ""),
            ("-", SSL.Error(), ""),
        )
        of_v4 = "client=192.0.2.1 listener=tls:443 TLS failed: "
        self.assertEqual(
            lines,
            [
                f"{of_v4}the client's certificate is refused: certificate has expired",
                f"{of_v4}the client says: tlsv1 alert unknown ca",
                "client=2001:db8::1 listener=tls:443 TLS failed: no shared cipher",
                "client=- listener=tls:443 TLS failed: OpenSSL does not say why",
            ],
        )

    def test_fields(self) -> None:
        """Logs in JSON have the same as fields."""
        with capturedLogs() as events:
            self.failed.tell("192.0.2.1", "tls:443", VERIFY, "")
        (event,) = events
        self.assertEqual(
            (event["client"], event["listener"], event["reason"]),
            ("192.0.2.1", "tls:443", "certificate verify failed"),
        )

    def test_bounded(self) -> None:
        """A flood has some lines and a count; none is left at the end."""
        case = ("192.0.2.1", VERIFY, "")
        lines = self.told(*[case] * (MAX_LINES_OF_A_CLIENT + 2))
        self.assertEqual(len(lines), MAX_LINES_OF_A_CLIENT)
        with capturedLogs() as events:
            self.clock.advance(WINDOW_SECONDS)
        (told,) = [str(formatEvent(event)) for event in events]
        self.assertIn("2 more connections that TLS has ended", told)
        self.told(*[case] * (MAX_LINES_OF_A_CLIENT + 1))
        self.failed.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_in_all(self) -> None:
        """Many addresses have a bound, too."""
        cases: list[Any] = [
            (f"192.0.2.{number}", VERIFY, "") for number in range(MAX_LINES + 50)
        ]
        self.assertEqual(len(self.told(*cases)), MAX_LINES)
