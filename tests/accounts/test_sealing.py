"""Seals: what was sealed here is opened here, and nothing else is."""

from collections.abc import Sequence

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.sealing import RotatingSeal, Seal
from tests.grammar import EXAMPLES, hostile

KEY = b"k" * 32
TEXT = "/artifacts-uploads/x?a=%2f&é"


class SealTests(SynchronousTestCase):
    @EXAMPLES
    @given(hostile, hostile)
    def test_round_trip(self, purpose: str, text: str) -> None:
        """Whoever has the key opens it, for the same purpose, and reads all of it."""
        sealed = Seal(KEY).seal(purpose, text)
        self.assertRegex(sealed, r"\A[A-Za-z0-9_-]+\Z")
        self.assertEqual(Seal(KEY).open(purpose, sealed), text)
        self.assertIsNone(Seal(KEY).open(f"{purpose}x", sealed))
        self.assertIsNone(Seal(KEY[1:]).open(purpose, sealed))

    def test_secret(self) -> None:
        """It shows nothing of the text, and never looks the same."""
        first, second = Seal(KEY).seal("p", TEXT), Seal(KEY).seal("p", TEXT)
        self.assertNotEqual(first[:16], second[:16])
        self.assertNotEqual(first[16:], second[16:])

    def test_changed(self) -> None:
        """Not a character may be changed, left out, or added."""
        sealed = Seal(KEY).seal("p", TEXT)
        for index in range(len(sealed) - 1):
            other = "A" if sealed[index] != "A" else "B"
            changed = sealed[:index] + other + sealed[index + 1 :]
            self.assertIsNone(Seal(KEY).open("p", changed), index)
            self.assertIsNone(Seal(KEY).open("p", sealed[:index]), index)
        self.assertIsNone(Seal(KEY).open("p", sealed + "AAAA"))

    @EXAMPLES
    @given(hostile)
    def test_anything(self, text: str) -> None:
        """What a stranger writes is not opened, whatever it is."""
        self.assertIsNone(Seal(KEY).open("p", text))


class RotatingSealTests(SynchronousTestCase):
    def test_rotation(self) -> None:
        """The first key seals; those behind it still open."""
        keys = [b"old"]
        seal = RotatingSeal(lambda at_once: keys)
        sealed = seal.seal("p", TEXT)
        keys.insert(0, b"new")
        self.assertEqual(seal.open("p", sealed), TEXT)
        self.assertEqual(Seal(b"new").open("p", seal.seal("p", TEXT)), TEXT)
        keys.remove(b"old")
        self.assertIsNone(seal.open("p", sealed))

    def test_another_machine(self) -> None:
        """What no known key opens is tried with keys that are looked for at once."""
        asked = []

        def keys(at_once: bool) -> Sequence[bytes]:
            asked.append(at_once)
            return [b"new", b"old"] if at_once else [b"old"]

        seal = RotatingSeal(keys)
        self.assertEqual(seal.open("p", Seal(b"new").seal("p", TEXT)), TEXT)
        self.assertEqual(asked, [False, True])
        self.assertEqual(seal.open("p", Seal(b"old").seal("p", TEXT)), TEXT)
        self.assertEqual(asked, [False, True, False])
        # To seal, the key that counts now will do.
        self.assertEqual(Seal(b"old").open("p", seal.seal("p", TEXT)), TEXT)
        self.assertEqual(asked, [False, True, False, False])
