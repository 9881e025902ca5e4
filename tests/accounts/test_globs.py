"""Globs."""

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.globs import glob_matches


class GlobTests(SynchronousTestCase):
    @given(st.text("ab*", max_size=8), st.text("ab\n", max_size=8))
    def test_as_expressions(self, pattern: str, text: str) -> None:
        """A star is any text, and all else is itself."""
        expression = ".*".join(map(re.escape, pattern.split("*")))
        wanted = re.fullmatch(expression, text, re.DOTALL) is not None
        self.assertEqual(glob_matches(pattern, text), wanted)

    def test_many_stars(self) -> None:
        """A pattern of many stars is done with soon, whatever the text."""
        self.assertFalse(glob_matches("a*" * 30 + "b", "a" * 100_000))
