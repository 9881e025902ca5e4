"""Patterns over public names."""

from itertools import product
from re import escape, fullmatch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.patterns import (
    InvalidPattern,
    NamePattern,
    parse_pattern,
)
from regbroker.naming.pattern_index import PatternIndex
from regbroker.naming.rules import Pattern
from regbroker.protocol.names import is_name

#: Every name of up to five characters of a small alphabet.
SMALL_NAMES = [
    name
    for length in range(1, 6)
    for name in map("".join, product("ab-/", repeat=length))
    if is_name(name)
]

segments = st.one_of(
    st.just("**"),
    st.text("ab-*", min_size=1, max_size=3).filter(lambda text: "**" not in text),
)
pattern_texts = st.lists(segments, min_size=1, max_size=3).map("/".join)


def pattern_of(text: str) -> NamePattern:
    """Return a pattern, also one that matches no name."""
    return NamePattern(tuple(text.split("/")))


def may_reach(
    pattern: NamePattern, namespace: Pattern, user: str | None = None
) -> bool:
    """Tell whether a pattern may match a name of one namespace, as it is or of many."""
    others = [Pattern(text, star=False) for text in ("zz", "zz/a", "zzz")]
    alone, among = (
        pattern.may_reach(PatternIndex((each, None) for each in namespaces), user)
        for namespaces in ([namespace], [*others, namespace, namespace])
    )
    begins_with_any = pattern.may_reach(PatternIndex((e, None) for e in others), user)
    assert among == (alone or begins_with_any)
    return alone


class MatchingTests(SynchronousTestCase):
    def assert_matches(
        self, text: str, yes: str = "", no: str = "", user: str | None = None
    ) -> None:
        pattern = parse_pattern(text)
        self.assertEqual(str(pattern), text)
        for name in yes.split():
            self.assertTrue(pattern.matches(name, user), f"{text} misses {name}")
        for name in no.split():
            self.assertFalse(pattern.matches(name, user), f"{text} matches {name}")

    def test_plain(self) -> None:
        """Without wildcards, a pattern is one name."""
        self.assert_matches("team/app", "team/app", "team team/app/x team/apps app")

    def test_below(self) -> None:
        """Two stars at the end are everything below, and what stands before them."""
        self.assert_matches("team/**", "team team/a team/a/b", "teams x/team/a")

    def test_everything(self) -> None:
        """Two stars alone are every name, and no more than names."""
        self.assert_matches("**", "a a/b a/b/c", "A a//b a/ /a ../a *")

    def test_two_stars_anywhere(self) -> None:
        """They stand for any number of segments wherever they are."""
        self.assert_matches("**/app", "app a/app a/b/app", "a/apps app/a")
        self.assert_matches("a/**/b", "a/b a/x/b a/x/y/b", "a b a/bb a/b/c")
        self.assert_matches("**/a/**/b/**", "a/b x/a/y/b/z", "b/a a")

    def test_one_star(self) -> None:
        """One star stays in its segment and may be nothing."""
        self.assert_matches("team/*", "team/a", "team team/a/b")
        self.assert_matches("app*", "app apps app-1", "app/x xapp")
        self.assert_matches("*app*x", "appx my-appax", "app appxa a/appx")
        self.assert_matches("a*a", "aa aba", "a")

    def test_user(self) -> None:
        """The account's name stands for itself."""
        self.assert_matches("${user}/**", "alice alice/x", "bob/x", "alice")
        self.assert_matches("home/${user}-*", "home/al-x", "home/alice", "al")
        self.assert_matches("u.${user}", "u.a.b", "u.a-b u.axb", "a.b")
        self.assert_matches("${user}/**", "", "alice user", None)

    def test_user_that_is_no_component(self) -> None:
        """Nobody gains by what they are called."""
        for user in ("**", "*", "a/b", "a/**", "Alice", "", "..", "a*", "${user}", "é"):
            self.assert_matches("${user}/**", "", "a a/b a/b/c alice x", user)

    def test_no_backtracking(self) -> None:
        """No pattern and no name together take long: to try all ways would not end."""
        patterns = ["*a" * 40 + "*b", "/".join(["**", "a"] * 40) + "/b"]
        names = ["a" * 255, "/".join("a" * 128)]
        for text in patterns:
            self.assert_matches(text, "", " ".join(names))

    @given(pattern_texts, st.sampled_from(SMALL_NAMES))
    def test_like_an_expression(self, text: str, name: str) -> None:
        """Matching agrees with the regular expression that one would write."""
        # Each segment with the slash before it makes ** plain to say.
        parts = [
            "(?:/[^/]+)*" if s == "**" else "/" + escape(s).replace(r"\*", "[^/]*")
            for s in text.split("/")
        ]
        self.assertEqual(
            pattern_of(text).matches(name),
            fullmatch("".join(parts), "/" + name) is not None,
        )


class ParsingTests(SynchronousTestCase):
    def test_wrong(self) -> None:
        """What is no pattern is refused, and so is what no name can match."""
        for text, reason in {
            "Team/**": "is no pattern",
            "a b": "is no pattern",
            "": "is no pattern",
            "/a": "is no pattern",
            "a/": "is no pattern",
            "a//b": "is no pattern",
            "a?": "is no pattern",
            "${a/b}": "is no pattern",
            "${upper:a}": "is no pattern",
            "$user": "is no pattern",
            "a**": "alone",
            "***": "alone",
            "x/a**b/c": "alone",
            "..": "matches no repository name",
            "-a": "matches no repository name",
            "a./**": "matches no repository name",
            "a..b*": "matches no repository name",
            "${user}___*": "matches no repository name",
        }.items():
            with self.assertRaises(InvalidPattern, msg=text) as caught:
                parse_pattern(text)
            self.assertIn(reason, str(caught.exception))
            self.assertIn(f"'{text}'", str(caught.exception))


class ClaimTests(SynchronousTestCase):
    def matches(self, pattern: str, name: str, **claims: object) -> bool:
        return parse_pattern(pattern).matches(name, "user", claims)

    def test_values(self) -> None:
        """A claim stands for itself; alone between slashes it may have slashes."""
        for pattern, name, value in (
            ("acme/${a}/**", "acme/x/y/z", "x/y"),
            ("acme/${a}", "acme/x", "x"),
            ("x-${a}/*", "x-y/z", "y"),
            ("${lower:a}/**", "acme/app", "Acme/App"),
            ("${a}", "7", 7),
        ):
            self.assertTrue(self.matches(pattern, name, a=value), pattern)

    def test_values_that_fit_nowhere(self) -> None:
        """What is no part of a repository name matches nothing at all."""
        for value in (
            "../x",
            "..",
            "x/../y",
            "/x",
            "x/",
            "x//y",
            "x:y",
            "*",
            "**",
            "x*",
            "x\n",
            "X",
            "",
            "${user}",
            "x" * 1_000_000,
            ["x"],
            {"x": "x"},
            None,
            1.5,
        ):
            for name in ("acme/x", "acme/x/y", "acme/user", "acme"):
                self.assertFalse(self.matches("acme/${a}/**", name, a=value), value)
                self.assertFalse(self.matches("acme/${a}", name, a=value), value)

    def test_letters_that_have_small_ones_of_ascii(self) -> None:
        """No letter of another alphabet is made one that names may have."""
        odd = [c for c in map(chr, range(128, 0x110000)) if c.lower().isascii()]
        self.assertIn("\N{KELVIN SIGN}", odd)
        for letter in (*odd, "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"):
            for value in (letter, f"to{letter}en", f"Acme/{letter}"):
                for name in ("k", "token", "acme/k", "i", "toien"):
                    self.assertFalse(self.matches("${lower:a}", name, a=value), value)

    def test_beside_text(self) -> None:
        """A claim with slashes does not fit beside other text of its segment."""
        self.assertFalse(self.matches("acme/x-${a}/**", "acme/x-y/z", a="y/z"))

    def test_wildcards_stay_text(self) -> None:
        """With two claims in a segment, no value is read as the other's variable."""
        claims = {"a": "x", "b": "y"}
        self.assertTrue(parse_pattern("${a}.${b}").matches("x.y", None, claims))
        self.assertEqual(parse_pattern("${a}/${lower:b}").claims, ("a", "b"))

    def test_nobody(self) -> None:
        """Without the claim there is no match."""
        self.assertFalse(parse_pattern("acme/${a}/**").matches("acme/x", "user"))


class ReachTests(SynchronousTestCase):
    @given(
        pattern_texts,
        st.text("ab-/", max_size=3),
        st.booleans(),
        st.sampled_from([None, "a", "a-b", "**"]),
    )
    def test_never_wrong(
        self, text: str, namespace: str, star: bool, user: str | None
    ) -> None:
        """No pattern matches a name of a namespace that it does not reach."""
        for pattern in (pattern_of(text), pattern_of("${user}/" + text)):
            if may_reach(pattern, Pattern(namespace, star), user):
                continue
            for name in SMALL_NAMES:
                if Pattern(namespace, star).match(name) is not None:
                    self.assertFalse(pattern.matches(name, user), (pattern, name))

    def test_user(self) -> None:
        """For an account it is about its own names; in general about anybody's."""
        pattern = parse_pattern("${user}/app")
        bobs = Pattern("bob", star=False)
        self.assertTrue(may_reach(pattern, bobs))
        self.assertTrue(may_reach(pattern, bobs, "bob"))
        self.assertFalse(may_reach(pattern, bobs, "alice"))
        self.assertFalse(may_reach(pattern, Pattern("", star=True), "**"))

    def test_beginnings(self) -> None:
        """How both begin decides, up to the first wildcard."""
        for text, namespace, reached in (
            ("team/**", "team", True),
            ("team/**", "team/a", True),
            ("team/**", "teams", False),
            ("team/**/**", "tea", False),
            ("team/*", "team", True),
            ("tea*", "team", True),
            ("team-*", "team", False),
            ("team", "team/a", False),
            ("*/b", "a", True),
        ):
            pattern = parse_pattern(text)
            self.assertIs(
                may_reach(pattern, Pattern(namespace, star=False)), reached, text
            )
        two = parse_pattern("team/**/**")
        self.assertTrue(two.matches("team"))
        self.assertTrue(may_reach(two, Pattern("team", star=False)))
        self.assertTrue(may_reach(two, Pattern("tea", star=True)))
