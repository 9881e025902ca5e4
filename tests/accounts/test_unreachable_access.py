"""Rules of access that have no effect are named, and only those."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.access_section import parse_access
from regbroker.accounts.principals import Account
from regbroker.accounts.unreachable_access import unreachable
from regbroker.errors import NameUnknown
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import InvalidRule, parse_rule
from tests.accounts.test_patterns import SMALL_NAMES, pattern_texts


def mapping(*rules: str) -> NameMapping:
    return NameMapping([parse_rule(rule) for rule in rules], ["up"])


def is_canonical(names: NameMapping, name: str) -> bool:
    """Tell whether a name is one that rights can be about."""
    try:
        return names.route(name).public_name == name
    except NameUnknown:
        return False


@st.composite
def mappings(draw: st.DrawFn) -> NameMapping:
    """Small sets of namespace rules that do not contradict one another."""
    text = st.sampled_from(["", "a", "b", "a/", "b/", "a/a", "a/b", "a-", "b-", "aa"])
    lines = st.lists(st.tuples(text, text, st.sampled_from(["", "*"])), max_size=5)
    found = mapping("a = b")
    for one, other, star in draw(lines):
        line = f"{one}{star} = {other}{star}"
        with contextlib.suppress(InvalidRule):
            found = mapping(line)
        with contextlib.suppress(InvalidRule):
            found = mapping(line, *map(str, found.rules))
    return found


class UnreachableTests(SynchronousTestCase):
    def problems(self, names: NameMapping, subject: str, *lines: str) -> list[str]:
        return unreachable(parse_access({subject: "\n".join(lines)}), names)

    def test_outside(self) -> None:
        """A pattern outside all namespaces is found; its neighbours are not."""
        names = mapping("team = acme_team", "lib* = mirror/lib*")
        for pattern in ("team", "team/**", "**", "*", "*/app", "t*/x", "lib/x", "libx"):
            self.assertEqual(self.problems(names, "alice", f"{pattern}: pull"), [])
        for pattern in ("teams/**", "other", "tea", "lib", "x*/**", "team-*"):
            (problem,) = self.problems(names, "alice", f"{pattern}: pull")
            self.assertIn(f"alice: '{pattern}' matches no name", problem)
            self.assertIn("lib*, team", problem)

    def test_empty(self) -> None:
        """A subject without lines says what to write."""
        (line,) = self.problems(mapping("* = *"), "bob", "")
        self.assertTrue(line.startswith("bob: empty, so it grants nothing; "), line)
        self.assertIn("team/**: pull, push", line)

    def test_each_pattern(self) -> None:
        """Every pattern has to reach something, not only one of a line."""
        names = mapping("team = acme_team")
        (problem,) = self.problems(
            names, "@staff", "team/**, x/**: pull", "**: catalog"
        )
        self.assertTrue(problem.startswith("@staff: 'x/**'"))

    def test_users(self) -> None:
        """A namespace of one's own is reachable when some user's is."""
        names = mapping("alice = x", "home = y")
        self.assertEqual(self.problems(names, "authenticated", "${user}/**: pull"), [])
        self.assertEqual(self.problems(names, "alice", "${user}/**: pull"), [])
        self.assertEqual(len(self.problems(names, "bob", "${user}/**: pull")), 1)
        self.assertEqual(self.problems(names, "bob", "home/${user}: pull"), [])

    def test_nobodys_names(self) -> None:
        """Who has no name, or one that is no part of a name, has no namespace."""
        names = mapping("* = *")
        for subject, pattern, expected in (
            ("anonymous", "${user}", "'${user}' needs a user"),
            ("Carol", "${user}/**", "'${user}/**' can never match: 'Carol'"),
        ):
            (line,) = self.problems(names, subject, f"{pattern}: pull")
            self.assertTrue(line.startswith(f"{subject}: {expected}"), line)
            rules = parse_access({subject: f"{pattern}: pull"})
            account = None if subject == "anonymous" else Account(subject)
            for name in ("carol", "Carol", "a/b"):
                self.assertFalse(rules.allows(account, "pull", name))

    def test_groups(self) -> None:
        """A group is unreachable when nobody can be in one."""
        rules = parse_access({"@staff": "a: pull\nb: pull", "bob": "a: pull"})
        names = mapping("* = *")
        self.assertEqual(unreachable(rules, names), [])
        (problem,) = unreachable(rules, names, has_groups=False)
        self.assertTrue(problem.startswith("@staff: "))

    def test_several_registries(self) -> None:
        """What one of the registries maps is reachable."""
        rules = parse_access({"bob": "a/**: pull\nb/**: pull\nc/**: pull"})
        one, other = mapping("a = x"), mapping("b = x")
        (problem,) = unreachable(rules, one, other)
        self.assertIn("'c/**'", problem)
        self.assertIn("a; b", problem)

    def test_short_names(self) -> None:
        """Names without a namespace are short for others: rights are about those."""
        names = NameMapping(
            [parse_rule("hub/* = hub:*"), parse_rule("quay/* = quay:*")],
            [],
            {"hub": "library"},
        )
        for pattern, whole in (
            ("hub/nginx", "hub/library/nginx"),
            ("hub/*", "hub/library/*"),
            ("hub/ng*", "hub/library/ng*"),
        ):
            (problem,) = self.problems(names, "alice", f"{pattern}: pull")
            self.assertIn(f"'{pattern}' matches short names only", problem)
            self.assertTrue(problem.endswith(f"write {whole}"), problem)
            self.assertEqual(self.problems(names, "alice", f"{whole}: pull"), [])
        for pattern in ("hub/**", "quay/nginx", "quay/*", "hub/acme/*", "**", "*/x/*"):
            self.assertEqual(self.problems(names, "alice", f"{pattern}: pull"), [])
        bare = NameMapping([parse_rule("* = *")], ["hub"], {"hub": "library"})
        (problem,) = self.problems(bare, "alice", "nginx: pull")
        self.assertTrue(problem.endswith("write library/nginx"), problem)
        exact = NameMapping(
            [parse_rule("* = *"), parse_rule("nginx = web/nginx")],
            ["hub"],
            {"hub": "library"},
        )
        self.assertEqual(self.problems(exact, "alice", "nginx: pull"), [])

    def test_no_aliases(self) -> None:
        """What a rule that names its upstream makes is no alias."""
        names = NameMapping(
            [parse_rule("hub/* = hub:*"), parse_rule("* = acme_*")], ["up"]
        )
        self.assertEqual(self.problems(names, "alice", "library/**: pull"), [])

    def test_upstream_names(self) -> None:
        """Rules that were written with upstream names are found."""
        names = mapping("* = acme_*", "library/* = hub_mirror/*")
        for pattern in (
            "acme_team/**",
            "acme_team/app",
            "acme_team/a*",
            "hub_mirror/x/**",
        ):
            (problem,) = self.problems(names, "alice", f"{pattern}: pull")
            self.assertIn(f"alice: '{pattern}' matches upstream names only", problem)
        for pattern in ("hub_mirror/**", "team/**", "acme*/**"):
            self.assertEqual(self.problems(names, "alice", f"{pattern}: pull"), [])
        # acme_team/x and what is below it come from nowhere: not aliases.
        for other in ("team/x = other", "team/* = other_*", "team = other"):
            names = mapping("* = acme_*", other)
            self.assertTrue(is_canonical(names, "acme_team/x"))
            for pattern in ("acme_team/**", "acme_team/x"):
                self.assertEqual(self.problems(names, "alice", f"{pattern}: pull"), [])
        # Nor is a name whose source would be too long for one.
        names = mapping("library/* = x*", "* = *")
        self.assertTrue(is_canonical(names, "xa/" + "a" * 252))
        self.assertEqual(self.problems(names, "alice", "xa/**: pull"), [])

    @given(mappings(), pattern_texts, st.sampled_from(["a", "a-b", "**"]))
    def test_never_wrong(self, names: NameMapping, text: str, user: str) -> None:
        """Nothing that matches a name is called unreachable."""
        subjects = {
            "authenticated": text,
            "@g": "${user}/" + text,
            "a": "${user}" + text,
        }
        for subject, pattern in subjects.items():
            try:
                rules = parse_access({subject: f"{pattern}: pull"})
            except ValueError:
                continue
            account = Account("a" if subject == "a" else user, frozenset({"g"}))
            reached = [
                name
                for name in SMALL_NAMES
                if rules.allows(account, "pull", name) and is_canonical(names, name)
            ]
            if reached:
                self.assertEqual(unreachable(rules, names), [], reached)
