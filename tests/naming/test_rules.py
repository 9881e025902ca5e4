"""One rule: how it is written, and what it makes of a name."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.naming.rules import ANY_TEXT, InvalidRule, Pattern, parse_rule
from regbroker.protocol.names import MAX_NAME_LENGTH


class ParseTests(SynchronousTestCase):
    def test_good(self) -> None:
        """A namespace, or a prefix and a star, on either side of an equals sign."""
        for line, text in (
            ("team = acme_team", "team = acme_team"),
            ("team=acme_team", "team = acme_team"),
            ("  a/b =\tc.d/e-f  ", "a/b = c.d/e-f"),
            ("* = acme_*", "* = acme_*"),
            ("library/*=hub_mirror/*", "library/* = hub_mirror/*"),
            ("hub/* = *", "hub/* = *"),
            ("* = *", "* = *"),
            ("a_* = b__*", "a_* = b__*"),
        ):
            self.assertEqual(str(parse_rule(line)), text)

    def test_bad(self) -> None:
        """Anything else is refused, with the text that is wrong."""
        for line, wrong in (
            ("", "''"),
            ("team", "'team'"),
            ("= a", "'= a'"),
            ("a =", "'a ='"),
            ("a = b = c", "'a = b = c'"),
            ("team = acme_*", "'team = acme_*'"),
            ("team* = acme", "'team* = acme'"),
            ("Team = acme", "'Team'"),
            ("team = acme_", "'acme_'"),
            ("/team = acme", "'/team'"),
            ("team/ = acme", "'team/'"),
            ("a..b* = c*", "'a..b*'"),
            ("a//* = c*", "'a//*'"),
            ("a** = b**", "'a**'"),
            ("*a = *b", "'*a'"),
            ("a*b = c*d", "'a*b'"),
            ("a = b c", "'b c'"),
            ("a = up:registry:5000/b", "'registry:5000/b'"),
            ("a = " + "b" * (MAX_NAME_LENGTH + 1), "'bbb"),
            ("ä = b", "'ä'"),
            ("a\n = b\nc", "'b\nc'"),
        ):
            error = self.assertRaises(InvalidRule, parse_rule, line)
            self.assertIn(wrong, str(error))

    def test_written(self) -> None:
        """A rule is told as it was written."""
        for line in ("a = x", "a/* = one:*", "a* = my.one-2:b_*"):
            self.assertEqual(str(parse_rule(line)), line)


class PatternTests(SynchronousTestCase):
    def test_namespace(self) -> None:
        """A namespace matches itself and what is below it."""
        pattern = Pattern("team", star=False)
        for name, after in (
            ("team", ""),
            ("team/app", "/app"),
            ("teams", None),
            ("team_a", None),
            ("a/team", None),
        ):
            self.assertEqual(pattern.match(name), after, name)

    def test_star(self) -> None:
        """A star stands for any text, but not for none."""
        pattern = Pattern("team_", star=True)
        for name, after in (
            ("team_a", "a"),
            ("team_a/b", "a/b"),
            ("team_", None),
            ("team", None),
        ):
            self.assertEqual(pattern.match(name), after, name)

    def test_equal(self) -> None:
        """With a star it is another pattern."""
        self.assertNotEqual(Pattern("a", star=False), Pattern("a", star=True))
        self.assertEqual(str(Pattern("a", star=True)), "a*")


class RuleTests(SynchronousTestCase):
    def test_apply_and_reverse(self) -> None:
        """What a rule makes of a name leads back to it."""
        for line, public, upstream in (
            ("team = acme_team", "team", "acme_team"),
            ("team = acme_team", "team/app", "acme_team/app"),
            ("hub/* = cache:library/*", "hub/nginx", "library/nginx"),
            ("* = acme_*", "a/b", "acme_a/b"),
        ):
            rule = parse_rule(line)
            self.assertEqual(rule.apply(public), upstream)
            self.assertEqual(rule.reverse(upstream), public)

    def test_no_match(self) -> None:
        """Names of others are left alone."""
        rule = parse_rule("team = acme_team")
        self.assertIsNone(rule.apply("other/app"))
        self.assertIsNone(rule.reverse("team/app"))

    def test_no_name(self) -> None:
        """A result that is no repository name is none."""
        self.assertIsNone(parse_rule("a* = b*").apply("a/x/-"))
        self.assertIsNone(parse_rule("a* = *").apply("a_b"))
        longest = "b" * MAX_NAME_LENGTH
        self.assertEqual(parse_rule("* = *").apply(longest), longest)
        self.assertIsNone(parse_rule("* = a*").apply(longest))

    def test_section(self) -> None:
        """The upstream that a rule names is no part of the pattern."""
        rule = parse_rule("quay/* = my.quay-1: *")
        self.assertEqual((rule.section, str(rule.upstream)), ("my.quay-1", "*"))
        self.assertEqual(parse_rule("a = b").section, "")

    def test_any_text(self) -> None:
        """The text that stands for every name goes through every rule."""
        self.assertEqual(parse_rule("* = acme_*").apply(ANY_TEXT), f"acme_{ANY_TEXT}")
