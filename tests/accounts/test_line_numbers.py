"""Lines by their numbers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.line_numbers import MAX_NUMBERS, lines


class LinesTests(SynchronousTestCase):
    def test_words(self) -> None:
        """One, some, and as many as a message names."""
        self.assertEqual(lines([7]), "line 7")
        self.assertEqual(lines([1, 3]), "lines 1, 3")
        many = list(range(1, MAX_NUMBERS + 1))
        self.assertEqual(lines(many), "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10")
        self.assertEqual(lines([*many, 11]), "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...")
