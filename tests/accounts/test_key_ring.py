"""The keys of a file, as they come and go."""

from __future__ import annotations

from regbroker.accounts.key_file import thumbprint
from regbroker.accounts.key_ring import KeyRing
from regbroker.accounts.tokens import ACCESS_LIFE, LEEWAY
from regbroker.errors import StateError
from tests.accounts.test_signing import ONE, TWO, KeysCase

KID_ONE, KID_TWO = thumbprint(ONE.public_key()), thumbprint(TWO.public_key())


class KeyRingTests(KeysCase):
    def setUp(self) -> None:
        super().setUp()
        self.keys = KeyRing(self.path, self.clock.seconds)

    def test_first(self) -> None:
        """The first key in the file signs, as of a second ago."""
        self.assertEqual(self.keys.first()[0], KID_ONE)
        self.write(TWO, ONE)
        self.clock.advance(2)
        kid, key = self.keys.first()
        self.assertEqual(kid, KID_TWO)
        self.assertEqual(key.private_numbers(), TWO.private_numbers())

    def test_find(self) -> None:
        """A key that is new is found at once, one that has left for a while."""
        self.assertIsNone(self.keys.find(KID_TWO))
        self.write(TWO)
        self.assertEqual(self.keys.find(KID_TWO), TWO.public_key())
        self.assertEqual(self.keys.find(KID_ONE), ONE.public_key())
        self.clock.advance(ACCESS_LIFE + LEEWAY)
        self.assertIsNone(self.keys.find(KID_ONE))

    def test_secrets(self) -> None:
        """Every key that verifies has a secret, the one that signs the first."""
        (one,) = self.keys.secrets()
        self.assertEqual(len(one), 32)
        self.write(TWO, ONE)
        self.assertEqual(self.keys.secrets(), [one])
        two, other = self.keys.secrets(at_once=True)
        self.assertEqual(other, one)
        self.assertNotEqual(two, one)
        self.write(TWO)
        self.clock.advance(2)
        self.assertEqual(self.keys.secrets(), [two, one])
        self.clock.advance(ACCESS_LIFE + LEEWAY)
        self.assertEqual(self.keys.secrets(), [two])

    def test_bad_from_the_start(self) -> None:
        """Without keys there is no ring, and the reason names the file."""
        self.path.write_bytes(b"")
        self.path.chmod(0o600)
        with self.assertRaisesRegex(StateError, f"{self.path}: no PEM private key"):
            KeyRing(self.path, self.clock.seconds)
