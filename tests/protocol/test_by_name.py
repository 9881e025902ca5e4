"""What is remembered by a header's name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.by_name import MAX_REMEMBERED, MAX_REMEMBERED_NAME, ByName


class ByNameTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.found: list[bytes] = []
        self.values = ByName(self.find)

    def find(self, name: bytes) -> int:
        """Note that a name is looked up."""
        self.found.append(name)
        return len(name)

    def test_once(self) -> None:
        """A name is looked up once, as it is written."""
        for name in (b"Etag", b"ETag", b"Etag"):
            self.assertEqual(self.values[name], 4)
        self.assertEqual(self.found, [b"Etag", b"ETag"])

    def test_longest(self) -> None:
        """The longest name that is remembered."""
        name = b"x" * MAX_REMEMBERED_NAME
        for _ in range(2):
            self.assertEqual(self.values[name], len(name))
        self.assertEqual(self.found, [name])

    def test_long(self) -> None:
        """A long name is looked up each time."""
        name = b"x" * (MAX_REMEMBERED_NAME + 1)
        for _ in range(2):
            self.assertEqual(self.values[name], len(name))
        self.assertEqual(self.found, [name, name])
        self.assertEqual(len(self.values), 0)

    def test_many(self) -> None:
        """Names that somebody makes up take no more than a bounded memory."""
        for number in range(3 * MAX_REMEMBERED):
            self.assertGreater(self.values[b"%d" % number], 0)
            self.assertLessEqual(len(self.values), MAX_REMEMBERED)
