"""Keys of an issuer in a file."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.key_file import KeyFile
from regbroker.errors import AccountsUnavailable
from tests.issuers import ec_key, jwk, jwks


class KeyFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.path = Path(self.mktemp())
        self.path.write_bytes(jwks(jwk(ec_key("a"), "a")))
        self.keys = KeyFile(self.path, lambda: self.now)
        self.keys.open()

    def knows(self, kid: str) -> bool:
        finding = Deferred.fromCoroutine(self.keys.find(kid, "ES256"))
        return bool(self.successResultOf(finding))

    def test_changes(self) -> None:
        """A new key counts at once, and a bad file changes nothing."""
        self.assertTrue(self.knows("a"))
        self.path.write_bytes(jwks(jwk(ec_key("a"), "a"), jwk(ec_key("b"), "b")))
        self.assertTrue(self.knows("b"))
        self.path.write_bytes(b"nonsense")
        self.assertFalse(self.knows("c"))
        self.assertTrue(self.knows("a"))
        self.assertEqual(self.keys.problem, "")

    def test_none(self) -> None:
        """Without a file there are no keys, until there is one."""
        keys = KeyFile(Path(self.mktemp()), lambda: self.now)
        keys.open()
        finding = Deferred.fromCoroutine(keys.find("a", "ES256"))
        self.failureResultOf(finding, AccountsUnavailable)
        self.assertIn("cannot be used", keys.problem)
        keys.close()
