"""What the log says about a directory, and what clients are told."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.answers import DirectoryError
from regbroker.accounts.ldap.failures import FAILURES, describe, unavailable


class FailuresTests(SynchronousTestCase):
    def test_described(self) -> None:
        """Each kind of failure has a sentence of its own."""
        certificate = SSL.Error([("SSL routines", "", "certificate verify failed")])
        for error, sentence in (
            (
                DirectoryError("the search: busy"),
                "the search: busy",
            ),
            (certificate, "no trusted TLS connection: certificate verify failed"),
            (SSL.Error(), "no trusted TLS connection: TLS ended early"),
            (SSL.Error([]), "no trusted TLS connection: TLS ended early"),
            (ConnectionDone(), "it closed the connection in the middle of a check"),
            (OSError("no route"), "it cannot be connected to: no route"),
        ):
            self.assertIsInstance(error, FAILURES)
            self.assertEqual(describe(error), sentence)

    def test_refused(self) -> None:
        """A refused connection is a failure to connect."""
        error = ConnectionRefusedError()
        self.assertIsInstance(error, FAILURES)
        self.assertRegex(describe(error), "^it cannot be connected to")

    def test_unavailable(self) -> None:
        """Clients learn that it is no fault of theirs, and not which server it is."""
        error = unavailable()
        self.assertEqual((error.status, error.code), (503, "UNAVAILABLE"))
        self.assertIn("its operator finds the reason in the log", error.message)
