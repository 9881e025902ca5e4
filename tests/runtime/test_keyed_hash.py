"""What stands for a credential in memory."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.keyed_hash import KeyedHash

TEXTS = st.lists(st.text(st.characters(codec=None)), max_size=3)


class KeyedHashTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hash = KeyedHash()

    @given(TEXTS, TEXTS)
    def test_injective(self, one: list[str], other: list[str]) -> None:
        """The same digest for the same texts, another one for others."""
        same = self.hash.digest(*one) == self.hash.digest(*other)
        self.assertEqual(same, one == other)

    def test_where_texts_end(self) -> None:
        """Texts that read the same when joined are others."""
        digests = {
            self.hash.digest(*texts)
            for texts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"))
        }
        self.assertEqual(len(digests), 5)

    @given(TEXTS, TEXTS)
    def test_after(self, one: list[str], other: list[str]) -> None:
        """What was taken in before stands in front; the hash itself is as it was."""
        begun = self.hash.after(*one)
        for hashed in (begun, begun):
            self.assertEqual(hashed.digest(*other), self.hash.digest(*one, *other))

    def test_surrogates(self) -> None:
        """Halves of characters have digests, and different ones."""
        self.assertNotEqual(self.hash.digest("\ud800"), self.hash.digest("\ud801"))
        self.assertEqual(self.hash.digest("\ud800"), self.hash.digest("\ud800"))

    def test_keyed(self) -> None:
        """With another key everything has another digest."""
        self.assertNotEqual(self.hash.digest("a"), KeyedHash().digest("a"))

    def test_length(self) -> None:
        """A digest is 32 bytes, however long the texts are."""
        for texts in ((), ("a",), ("a" * 10**6, "b")):
            self.assertEqual(len(self.hash.digest(*texts)), 32)
