"""Patterns that match a name, and those whose own text begins with one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.naming.pattern_index import PatternIndex
from regbroker.naming.rules import Pattern
from tests.steps import steps

texts = st.text("ab/_", max_size=4)
patterns = st.lists(st.builds(Pattern, texts, st.booleans()), max_size=8)


def index(*written: str) -> PatternIndex[str]:
    """Patterns as they are written in rules, each its own value."""
    return PatternIndex(
        (Pattern(text.removesuffix("*"), text.endswith("*")), text) for text in written
    )


class MatchingTests(SynchronousTestCase):
    @given(patterns, texts)
    def test_each(self, drawn: list[Pattern], name: str) -> None:
        """The index has what a look at each pattern finds, the longest text first."""
        found = PatternIndex((each, each) for each in drawn).matching(name)
        matching = [each for each in drawn if each.match(name) is not None]
        matching.sort(key=lambda each: (-len(each.text), each.star))
        self.assertEqual(found, matching)

    def test_order(self) -> None:
        """Longer texts come first, and a namespace before a star after the same."""
        found = index("*", "a*", "a", "a/*", "a/b", "ab", "a/b*").matching
        self.assertEqual(found("a/b/c"), ["a/b", "a/b*", "a/*", "a", "a*", "*"])
        self.assertEqual(found("a"), ["a", "*"])
        self.assertEqual(found("ac"), ["a*", "*"])
        self.assertEqual(found("x"), ["*"])
        self.assertEqual(found(""), [])

    def test_same(self) -> None:
        """Values of one pattern stay as they were given."""
        values = PatternIndex(
            (Pattern("a", star=False), number) for number in (3, 1, 2)
        )
        self.assertEqual(values.matching("a/b"), [3, 1, 2])

    def test_steps(self) -> None:
        """To look among many patterns takes no more steps than among few."""
        few, many = (index(*(f"t{i}*" for i in range(n))) for n in (10, 1000))
        self.assertEqual(many.matching("t9x"), ["t9*"])
        self.assertEqual(
            steps(lambda: many.matching("t9x")), steps(lambda: few.matching("t9x"))
        )


class BeginningTests(SynchronousTestCase):
    @given(patterns, texts)
    def test_each(self, drawn: list[Pattern], text: str) -> None:
        """The index has what a look at each pattern's text finds."""
        found = list(PatternIndex((p, p) for p in drawn).beginning_with(text))
        beginning = [each for each in drawn if each.text.startswith(text)]
        self.assertEqual(found, sorted(beginning, key=lambda each: each.text))

    def test_some(self) -> None:
        """The pattern itself is one of them, with and without a star."""
        found = index("team*", "tea", "team", "team/a", "teams", "x")
        self.assertEqual(
            list(found.beginning_with("team")), ["team*", "team", "team/a", "teams"]
        )
        self.assertEqual(list(found.beginning_with("y")), [])
