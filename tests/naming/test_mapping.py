"""The rules between public and upstream names, there and back."""

from functools import partial
from itertools import product

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import NameInvalid, NameUnknown
from regbroker.naming.mapping import MAX_REMEMBERED, NameMapping
from regbroker.naming.rules import InvalidRule, Rule, parse_rule
from regbroker.protocol.names import is_name
from tests.grammar import EXAMPLES, names
from tests.steps import steps


def mapping(*lines: str) -> NameMapping:
    """The mapping of these rules."""
    return NameMapping([parse_rule(line) for line in lines], ["up"])


def short_names(longest: int) -> list[str]:
    """Every name that a few letters and separators make."""
    texts = (
        "".join(letters)
        for length in range(1, longest + 1)
        for letters in product("ab_/", repeat=length)
    )
    return [text for text in texts if is_name(text)]


SHORT_NAMES = short_names(5)

_TEXTS = (
    "",
    "a",
    "b",
    "ab",
    "a_",
    "b_",
    "a/",
    "b/",
    "a/b",
    "a_b",
    "a_a",
    "a_a_",
    "a/a",
    "a/a/",
)


def all_rules() -> list[Rule]:
    """Every rule that a few texts make."""
    rules = []
    for public, upstream, star in product(_TEXTS, _TEXTS, ("", "*")):
        try:
            rules.append(parse_rule(f"{public}{star} = {upstream}{star}"))
        except InvalidRule:
            continue
    return rules


RULES = all_rules()

#: Rules that go together, as operators write them.
GOOD_SETS = (
    ("team = acme_team",),
    ("* = acme_*",),
    ("* = *",),
    ("* = acme/*",),
    ("library/* = hub_mirror/*",),
    ("team = acme_team", "* = acme_*"),
    ("team = acme_team", "* = *"),
    ("team = acme_team", "library/* = hub_mirror/*", "* = acme_*"),
    ("team = a", "team/app = b"),
    ("team = a", "team/* = b/*"),
    ("a = b", "c = d", "e = f"),
    ("a* = b*", "ab* = c*"),
    ("team = team", "* = acme_*"),
    ("prod/* = acme_*", "dev/* = acme-dev_*"),
)


class RouteTests(SynchronousTestCase):
    def check(self, rules: tuple[str, ...], *routes: tuple[str, str, str, str]) -> None:
        rules_made = mapping(*rules)
        for written, public, upstream, rule in routes:
            route = rules_made.route(written)
            self.assertEqual(
                (
                    route.public_name,
                    route.upstream_name,
                    str(route.rule),
                    route.upstream,
                ),
                (public, upstream, rule, "up"),
            )
            self.assertIn(f"'{rule}'", route.reason)
            self.assertEqual(rules_made.to_public(upstream, "up"), public)

    def refused(self, rules: tuple[str, ...], *unknown: str) -> None:
        rules_made = mapping(*rules)
        for name in unknown:
            self.assertRaises(NameUnknown, rules_made.route, name)

    def test_namespace(self) -> None:
        """A namespace is itself and what is below it, not what begins like it."""
        rules = ("team = acme_team",)
        self.check(
            rules,
            ("team", "team", "acme_team", rules[0]),
            ("team/app", "team/app", "acme_team/app", rules[0]),
            ("team/a/b", "team/a/b", "acme_team/a/b", rules[0]),
        )
        self.refused(rules, "teams", "team_x/app", "team-a", "tea", "x/team", "acme")

    def test_star(self) -> None:
        """A star stands for any text, but for some."""
        self.check(
            ("* = acme_*",),
            ("team/app", "team/app", "acme_team/app", "* = acme_*"),
            ("a", "a", "acme_a", "* = acme_*"),
        )
        self.check(
            ("library/* = hub_mirror/*",),
            (
                "library/alpine",
                "library/alpine",
                "hub_mirror/alpine",
                "library/* = hub_mirror/*",
            ),
        )
        self.refused(
            ("library/* = hub_mirror/*",),
            "library",
            "alpine",
            "libraryx/a",
            "hub_mirror",
        )

    def test_star_for_nothing(self) -> None:
        """A star does not stand for nothing."""
        self.refused(("team* = acme*",), "team")
        self.assertIsNone(mapping("team* = acme*").to_public("acme", "up"))

    def test_longest(self) -> None:
        """The longest public text decides, a namespace before a star."""
        rules = ("* = acme_*", "a = x", "a/b = y", "a/b/* = z/*")
        self.check(
            rules,
            ("c/d", "c/d", "acme_c/d", "* = acme_*"),
            ("a/c", "a/c", "x/c", "a = x"),
            ("a/b", "a/b", "y", "a/b = y"),
            ("a/b/c", "a/b/c", "z/c", "a/b/* = z/*"),
            ("ab", "ab", "acme_ab", "* = acme_*"),
        )
        for order in (rules, rules[::-1]):
            self.assertEqual(mapping(*order).route("a/b/c").upstream_name, "z/c")
        self.check(
            ("a* = y*", "a = x"),
            ("a", "a", "x", "a = x"),
            ("a/b", "a/b", "x/b", "a = x"),
            ("ab", "ab", "yb", "a* = y*"),
        )

    def test_steps(self) -> None:
        """Among many namespaces, a name is mapped in no more steps than among few."""
        few, many = (
            mapping("* = acme_*", *(f"team{i} = group{i}" for i in range(count)))
            for count in (10, 200)
        )
        self.assertEqual(many.route("team9/app").upstream_name, "group9/app")
        for work in (
            lambda rules: rules.route("team8/app"),
            lambda rules: rules.route("other/app"),
            lambda rules: rules.to_public("group8/app", "up"),
        ):
            self.assertEqual(*(steps(partial(work, rules)) for rules in (few, many)))

    def test_already_mapped(self) -> None:
        """An upstream name that a client was once shown leads to itself."""
        self.check(
            ("team = acme_team", "* = acme_*"),
            ("acme_team/app", "team/app", "acme_team/app", "team = acme_team"),
            ("acme_other/app", "other/app", "acme_other/app", "* = acme_*"),
        )
        route = mapping("* = acme_*").route("acme_team/app")
        self.assertIn("already", route.reason)

    def test_identity(self) -> None:
        """Names may stay what they are."""
        self.check(("* = *",), ("a/b", "a/b", "a/b", "* = *"))
        self.check(
            ("team = team", "* = acme_*"),
            ("team/app", "team/app", "team/app", "team = team"),
        )

    def test_unknown(self) -> None:
        """A name without a rule is a 404 that says which namespaces there are."""
        error = self.assertRaises(
            NameUnknown, mapping("team = acme_team", "library/* = hub/*").route, "a/b"
        )
        self.assertEqual((error.status, error.code), (404, "NAME_UNKNOWN"))
        self.assertEqual(error.detail, {"name": "a/b"})
        self.assertIn("library/*, team", error.message)
        self.assertNotIn("acme", error.message)
        self.assertNotIn("hub", error.message)

    def test_invalid(self) -> None:
        """What is no name is not looked up, even where a star takes anything."""
        for name in ("", "A", "a//b", "../a", "a/", "a\n", "a" * 256):
            self.assertRaises(NameInvalid, mapping("* = *").route, name)

    def test_no_name_results(self) -> None:
        """A rule does not make what is no name: too long, or badly joined."""
        self.refused(("* = acme_*",), "a" * 251)
        self.check(
            ("* = acme_*",), ("a" * 250, "a" * 250, "acme_" + "a" * 250, "* = acme_*")
        )
        self.refused(("team* = x_*",), "team/app")

    def test_hidden_upstream_names(self) -> None:
        """Upstream names that no public one leads to are not shown."""
        rules = mapping("team = acme_team", "library/* = hub/*")
        for name in (
            "acme_other/app",
            "acme",
            "acme_teams",
            "hub",
            "team/app",
            "x",
            "",
            "A/b",
        ):
            self.assertIsNone(rules.to_public(name, "up"), name)
        rules = mapping("team = acme_team", "* = *")
        self.assertIsNone(rules.to_public("team/app", "up"))
        self.assertEqual(rules.to_public("other/app", "up"), "other/app")
        self.assertEqual(rules.to_public("acme_team/app", "up"), "team/app")


class RuleSetTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Rules that go together are taken, in any order."""
        for lines in GOOD_SETS:
            mapping(*lines)
            mapping(*reversed(lines))

    def test_equal(self) -> None:
        """Sets are equal when all that they do is: their order does not count."""
        lines = ("team = acme_team", "* = acme_*")
        same = mapping(*reversed(lines))
        self.assertEqual(mapping(*lines), same)
        self.assertEqual(hash(mapping(*lines)), hash(same))
        self.assertNotEqual(mapping(*lines), mapping(lines[0]))
        rules = [parse_rule(line) for line in lines]
        self.assertNotEqual(NameMapping(rules, ["other"]), same)
        self.assertNotEqual(NameMapping(rules, ["up"], {"up": "library"}), same)

    def test_refused(self) -> None:
        """Rules that contradict one another are refused, and both are named."""
        for lines in (
            # The same public name twice.
            ("team = a", "team = b"),
            ("team = a", "team = a"),
            ("a* = b*", "a* = c*"),
            # Two public names, one upstream name.
            ("team = acme", "other = acme"),
            ("a = x", "b = x/y"),
            ("a* = x*", "b* = x*"),
            ("a/* = x/*", "b = x"),
            ("prod/* = acme_*", "dev/* = acme_*"),
            ("prod/* = acme_*", "dev/* = acme_dev_*"),
            ("team = acme_other", "* = acme_*"),
            # An upstream name that is taken as already mapped.
            ("acme_team = x", "* = acme_*"),
            ("acme_* = x_*", "* = acme_*"),
            # Two public names, one upstream name, in odd corners only.
            ("ab* = a_a_*", "* = a_*"),
            ("b_* = a_a_*", "b = b", "* = a_*"),
            ("b/a = a/a", "a/* = a_a_*", "* = a_*"),
            ("a/b* = a_a_*", "a* = a_a*", "* = a_*"),
            ("b/a* = a_a_*", "a/* = b_*", "b* = a_a*"),
        ):
            for order in (lines, lines[::-1]):
                error = self.assertRaises(InvalidRule, mapping, *order)
                named = [line for line in set(lines) if f"'{line}'" in str(error)]
                self.assertEqual(len(named), min(2, len(set(lines))), error)

    def test_not_idempotent(self) -> None:
        """A rule whose upstream names are public names of its own is refused."""
        for line in ("hub/* = *", "hub_* = *", "a_a* = a*"):
            error = self.assertRaises(InvalidRule, mapping, line)
            self.assertIn(f"'{line}' can never apply: each of its", str(error))

    def test_clash_is_shown(self) -> None:
        """The names that clash are told, not only the rules."""
        error = self.assertRaises(InvalidRule, mapping, "team = acme", "other = acme")
        self.assertIn(
            "'team' and 'other' both become 'acme'", _sorted_sources(str(error))
        )

    def test_many(self) -> None:
        """A hundred namespaces beside a star are checked, each with each."""
        lines = [f"team{i} = acme_team{i}" for i in range(100)]
        rules = mapping(*lines, "* = acme_*")
        self.assertEqual(rules.route("team99/a").upstream_name, "acme_team99/a")

    def test_shown(self) -> None:
        """The rules can be told to people."""
        rules = mapping("* = acme_*", "team = acme_team", "a/* = b/*")
        self.assertEqual(rules.namespaces, "*, a/*, team")
        self.assertEqual(
            repr(rules), "<NameMapping team = acme_team; a/* = b/*; * = acme_*>"
        )


def _sorted_sources(text: str) -> str:
    return text.replace("'other' and 'team'", "'team' and 'other'")


class RoundTripTests(SynchronousTestCase):
    def check(self, rules: NameMapping, tried: list[str]) -> None:
        """
        What every accepted set of rules promises for every name:

        1. the upstream name leads back to the canonical public one,
        2. which leads to the same upstream name;
        3. the upstream name, written by a client, leads to itself;
        4. no other canonical name leads to it;
        5. a name that is shown leads to the upstream name that it stands for.
        """
        canonical: dict[str, str] = {}
        for name in tried:
            shown = rules.to_public(name, "up")
            if shown is not None:
                self.assertEqual(rules.route(shown).upstream_name, name, rules)
            try:
                route = rules.route(name)
            except NameUnknown:
                self.assertIsNone(shown, rules)
                continue
            about = (rules, name, route)
            self.assertTrue(is_name(route.upstream_name), about)
            self.assertEqual(
                rules.to_public(route.upstream_name, "up"), route.public_name, about
            )
            again = rules.route(route.public_name)
            self.assertEqual(
                (again.public_name, again.upstream_name),
                (route.public_name, route.upstream_name),
                about,
            )
            alias = rules.route(route.upstream_name)
            self.assertEqual(
                (alias.public_name, alias.upstream_name),
                (route.public_name, route.upstream_name),
                about,
            )
            first = canonical.setdefault(route.upstream_name, route.public_name)
            self.assertEqual(first, route.public_name, about)

    def test_usual(self) -> None:
        """The rules that operators write, with every short name."""
        for lines in GOOD_SETS:
            self.check(mapping(*lines), SHORT_NAMES)

    def test_single(self) -> None:
        """A rule alone."""
        accepted = 0
        for rule in RULES:
            try:
                rules = NameMapping([rule], ["up"])
            except InvalidRule:
                continue
            accepted += 1
            self.check(rules, SHORT_NAMES[:100])
        self.assertGreater(accepted, len(RULES) / 2)

    @EXAMPLES
    @given(st.lists(st.sampled_from(RULES), min_size=2, max_size=4, unique=True))
    def test_sets(self, drawn: list[Rule]) -> None:
        """Rules that are made to meet: they are refused, or keep the promise."""
        try:
            rules = NameMapping(drawn, ["up"])
        except InvalidRule as error:
            self.assertGreaterEqual(sum(f"'{rule}'" in str(error) for rule in drawn), 1)
            return
        self.check(rules, SHORT_NAMES)

    @EXAMPLES
    @given(
        st.lists(
            st.tuples(names, names, st.sampled_from(("", "/*", "_*"))), max_size=4
        ),
        st.lists(names, min_size=1, max_size=5),
    )
    def test_drawn(self, drawn: list[tuple[str, str, str]], tails: list[str]) -> None:
        """Rules and names of any shape."""
        try:
            rules = mapping(*(f"{one}{end} = {two}{end}" for one, two, end in drawn))
        except InvalidRule:
            assume(False)
        tried = list(tails)
        for one, two, end in drawn:
            for tail in tails:
                tried += [
                    one,
                    two,
                    *(f"{side}{end.strip('*') or '/'}{tail}" for side in (one, two)),
                ]
        self.check(rules, [name for name in tried if is_name(name)])


class MemoryTests(SynchronousTestCase):
    def test_again(self) -> None:
        """A name that was mapped is not mapped again, and neither is its way back."""
        rules = mapping("* = acme_*")
        routes = rules.routes("team/app")
        self.assertIs(rules.routes("team/app"), routes)
        self.assertEqual(rules.to_public("acme_team/app", "up"), "team/app")
        self.assertEqual(rules.to_public("acme_team/app", "up"), "team/app")
        self.assertIsNone(rules.to_public("acme_team/app", "other"))

    def test_not_served(self) -> None:
        """What is refused is refused each time, and takes no memory."""
        rules = mapping("team = acme_team")
        for _ in range(2):
            self.assertRaises(NameUnknown, rules.routes, "other/app")
            self.assertRaises(NameInvalid, rules.routes, "UPPER")
        self.assertEqual(rules._remembered_routes.cache_info().currsize, 0)

    def test_bounded(self) -> None:
        """Very many names are mapped without being kept, and very long ones."""
        rules = mapping("* = acme_*")
        for number in range(MAX_REMEMBERED + 10):
            name = f"n{number}"
            self.assertEqual(rules.route(name).upstream_name, f"acme_{name}")
            self.assertEqual(rules.to_public(f"acme_{name}", "up"), name)
        self.assertIsNone(rules.to_public("acme_" + "a" * 10_000, "up"))
        for memory in (rules._remembered_routes, rules._remembered_public):
            self.assertEqual(memory.cache_info().currsize, MAX_REMEMBERED)
