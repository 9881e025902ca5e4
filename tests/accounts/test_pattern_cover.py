"""Which patterns cover another one, over all names."""

from itertools import permutations, product

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.pattern_cover import TooManyPlaces, uncovered
from regbroker.accounts.patterns import InvalidPattern, NamePattern, parse_pattern

#: Every name of up to three short segments.
COMPONENTS = ["a", "b", "ab", "ba", "aa"]
NAMES = [
    "/".join(name)
    for length in (1, 2, 3)
    for name in product(COMPONENTS, repeat=length)
]

segments = st.sampled_from(["a", "b", "*", "**", "a*", "*b", "ab", "a*b", "*a*"])
texts = st.lists(segments, min_size=1, max_size=3).map("/".join)


def found(pattern: str, *others: str) -> str | None:
    """A name that only the first pattern matches."""
    return uncovered(parse_pattern(pattern), [parse_pattern(o) for o in others])


class UncoveredTests(SynchronousTestCase):
    def test_covered(self) -> None:
        """The same, the wider, and several together."""
        for pattern, *others in (
            ("team/app", "team/app"),
            ("team/app", "team/**"),
            ("team/**", "**"),
            ("team", "team/**"),
            ("team/*", "team/**"),
            ("team/a*", "team/*"),
            ("team/**", "team", "team/*/**"),
            ("*", "*a*", "*", "b"),
            ("team/**/x", "team/**"),
            ("**", "**/**"),
            ("a/**/b", "a/**/b", "c"),
            ("**", "*", "*/**"),
        ):
            self.assertIsNone(found(pattern, *others), pattern)

    def test_uncovered(self) -> None:
        """A name that is missing is named."""
        for pattern, others, missing in (
            ("team/**", ["team/*"], "team"),
            ("team/**", ["team", "team/*"], "team/x/x"),
            ("**", ["team/**"], "x"),
            ("team/*", ["team/app"], "team/x"),
            ("team/app", [], "team/app"),
            ("team/app", ["team/apps", "team"], "team/app"),
            ("*", ["x*"], "a"),
            ("lib-*", ["lib-a*"], "lib-x"),
        ):
            self.assertEqual(found(pattern, *others), missing)

    @given(texts, st.lists(texts, max_size=3))
    def test_as_matching_says(self, pattern: str, others: list[str]) -> None:
        """Names that can be tried say the same."""
        try:
            one, *many = map(parse_pattern, [pattern, *others])
        except InvalidPattern:
            assume(False)
        missing = uncovered(one, many)

        def is_missing(name: str) -> bool:
            return one.matches(name) and not any(o.matches(name) for o in many)

        if missing is None:
            self.assertEqual([n for n in NAMES if is_missing(n)], [])
        else:
            self.assertTrue(is_missing(missing), missing)

    def test_bounded(self) -> None:
        """Patterns that take for ever are not compared."""
        many = [parse_pattern("*")]
        for letters in permutations("bcdefg", 3):
            many.append(NamePattern(("a*" + "*".join(letters),)))
        self.assertRaises(TooManyPlaces, uncovered, parse_pattern("a*"), many)
