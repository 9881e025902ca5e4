"""Which rule of a registry decides about a name."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.naming.rule_table import RuleTable
from regbroker.naming.rules import ANY_TEXT, InvalidRule, parse_rule
from regbroker.protocol.names import is_name


def table(listed: str, *lines: str) -> RuleTable:
    """The table of these rules, with the upstreams that the registry lists."""
    return RuleTable(map(parse_rule, lines), listed.split())


class DecidingTests(SynchronousTestCase):
    def deciding(self, rules: RuleTable, name: str) -> dict[str, str]:
        """The upstreams that a name leads to, and by which rule, as text."""
        found = rules.deciding(name)
        return {upstream: str(rule) for upstream, rule in found.items()}

    def test_order(self) -> None:
        """The longest public pattern comes first, and one without a star before one."""
        rules = table("up", "* = acme_*", "ab* = y*", "ab = x", "abc/* = z/*")
        self.assertEqual(
            [str(rule.public) for rule in rules.rules], ["abc/*", "ab", "ab*", "*"]
        )
        self.assertEqual(self.deciding(rules, "ab/c"), {"up": "ab = x"})
        self.assertEqual(self.deciding(rules, "abb"), {"up": "ab* = y*"})
        self.assertEqual(self.deciding(rules, "abc/d"), {"up": "abc/* = z/*"})

    def test_named(self) -> None:
        """A rule that names its upstream stands for that one beside the listed."""
        rules = table("one two", "* = *", "* = two:cache/*", "* = three:*")
        self.assertEqual(
            self.deciding(rules, "a"),
            {"one": "* = *", "two": "* = two:cache/*", "three": "* = three:*"},
        )
        self.assertEqual(rules.upstreams, ("one", "two", "three"))
        self.assertEqual(rules.choice(parse_rule("* = *").public), rules.deciding("a"))

    def test_nowhere(self) -> None:
        """A name that no pattern matches leads nowhere."""
        rules = table("up", "team = acme_team")
        self.assertEqual(rules.deciding("other"), {})
        self.assertEqual(rules.choice(parse_rule("other = x").public), {})

    def test_decides(self) -> None:
        """A rule decides where it is chosen, and makes a name."""
        rules = table("up", "team/* = b_*", "* = acme_*")
        team, others = rules.rules
        self.assertTrue(rules.decides(team, "team/a"))
        self.assertFalse(rules.decides(others, "team/a"))
        self.assertTrue(rules.decides(others, "other"))
        self.assertFalse(rules.decides(others, "a" * 253))

    def test_rules_to(self) -> None:
        """The rules that make one upstream's name, the longest first."""
        rules = table("one two", "* = *", "team = two:x", "quay/* = three:*")
        for upstream, name, lines in (
            ("one", "x", ["* = *"]),
            ("two", "x", ["team = two:x", "* = *"]),
            ("two", "y", ["* = *"]),
            ("three", "x", ["quay/* = three:*"]),
            ("four", "x", []),
        ):
            found = rules.rules_to(upstream, name)
            self.assertEqual(list(map(str, found)), lines)

    def test_meeting(self) -> None:
        """The upstreams for which more than one rule makes a name, in their order."""
        rules = table(
            *("one two", "* = *", "team = two:x", "quay/* = three:*", "a/* = one:b/*")
        )
        for names, upstreams in (
            (["x"], ["two"]),
            (["b/c"], ["one"]),
            (["x", "b/c"], ["one", "two"]),
            (["b"], []),
            (["b/x", "x/b"], ["one", "two"]),
        ):
            self.assertEqual(rules.meeting(names), upstreams)


class SourcesTests(SynchronousTestCase):
    def test_sources(self) -> None:
        """A name that a rule makes of another one has that one as its source."""
        rules = table("up", "team = acme_team", "* = x_*")
        self.assertEqual(
            [(str(rule), name) for rule, name in rules.sources("acme_team/a")],
            [("team = acme_team", "team/a")],
        )
        self.assertEqual(rules.sources("team/a"), [])

    def test_named(self) -> None:
        """Rules that name their upstream make no name of another one."""
        self.assertEqual(table("", "hub/* = one:*").sources("library/a"), [])

    def test_itself(self) -> None:
        """A name that stays as it is has no source."""
        self.assertEqual(table("up", "* = *").sources("a"), [])


class SourcesBelowTests(SynchronousTestCase):
    def test_all(self) -> None:
        """What one rule makes of names that it decides about alone is all aliases."""
        rules = table("up", "team = acme_team", "* = x_*", "y/* = one:*")
        for name in ("acme_team", "acme_team/a", "x_a", "x_a/b"):
            self.assertTrue(rules.has_sources_below(name), name)

    def test_not_certain(self) -> None:
        """Other rules may decide about some of the names, or are about other names."""
        rules = table("up", "team/a = b", "team = acme_team", "* = x_*", "c* = y_c*")
        for name in ("acme_team", "x_team", "x_c", "team", "other", "acme_other"):
            self.assertFalse(rules.has_sources_below(name), name)
        self.assertFalse(table("", "hub/* = one:*").has_sources_below("library"))
        # A source that is longer than its alias may be too long to be a name.
        self.assertFalse(table("up", "ab* = b*").has_sources_below("ba"))


class ProbesTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Probes are names, at the ends of patterns and behind each rule."""
        probes = list(table("up", "team = acme_team", "a/* = b_*").probes())
        self.assertTrue(all(map(is_name, probes)))
        self.assertLess(
            {"team", f"team/{ANY_TEXT}", "acme_team", f"a/{ANY_TEXT}", f"b_{ANY_TEXT}"},
            set(probes),
        )


class RefusedTests(SynchronousTestCase):
    def assert_refused(self, message: str, listed: str, *lines: str) -> None:
        """These rules are no table, and this says why."""
        error = self.assertRaises(InvalidRule, table, listed, *lines)
        self.assertIn(message, str(error))

    def test_no_upstream(self) -> None:
        """A rule must lead to an upstream."""
        self.assert_refused("write 'upstream = NAME' above", "", "a = b")

    def test_twice(self) -> None:
        """The second rule with one public pattern never decides."""
        self.assert_refused(
            "'a = y' can never apply: 'a = x' decides about all its names",
            "up",
            "a = x",
            "a = y",
        )

    def test_repeated(self) -> None:
        """A line that stands twice is not told as a rule in its own way."""
        self.assert_refused("'a = x' stands twice; once is right", "up", *["a = x"] * 2)

    def test_taken(self) -> None:
        """A rule for names that are taken as already mapped never applies."""
        self.assert_refused(
            "'acme_team = x' can never apply: '* = acme_*' takes its names as already "
            "mapped",
            "up",
            "acme_team = x",
            "* = acme_*",
        )

    def test_its_own(self) -> None:
        """So does a rule whose public names are its own upstream names."""
        self.assert_refused(
            "'hub/* = *' can never apply: each of its", "up", "hub/* = *"
        )

    def test_unused(self) -> None:
        """A rule without use is not refused, but named."""
        rules = table("one", "* = acme_*", "* = one:cache/*")
        self.assertEqual(list(map(str, rules.unused_rules)), ["* = acme_*"])
        self.assertEqual(rules.groups, (("one",),))
