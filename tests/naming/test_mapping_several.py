"""Rules that lead to several upstreams, and names without a namespace."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import NameUnknown
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import InvalidRule, Rule, parse_rule
from regbroker.protocol.names import is_name
from tests.grammar import EXAMPLES
from tests.naming.test_mapping import RULES, SHORT_NAMES

HUB = {"hub": "library"}


def mapping(
    listed: str, *lines: str, namespaces: dict[str, str] | None = None
) -> NameMapping:
    """The mapping of these rules, with the upstreams that the registry lists."""
    return NameMapping([parse_rule(line) for line in lines], listed.split(), namespaces)


def routes(rules: NameMapping, name: str) -> list[tuple[str, str]]:
    """Where a name leads: upstreams, and their names for it."""
    return [(route.upstream, route.upstream_name) for route in rules.routes(name)]


class SeveralTests(SynchronousTestCase):
    def test_listed(self) -> None:
        """A rule that names nobody leads to all that are listed, in their order."""
        rules = mapping("two one", "* = acme_*")
        self.assertEqual(routes(rules, "a"), [("two", "acme_a"), ("one", "acme_a")])
        self.assertEqual(
            (rules.route("a").upstream, rules.upstreams[0]), ("two", "two")
        )

    def test_instead(self) -> None:
        """One that names its upstream stands for that one, beside the others."""
        rules = mapping("one two", "* = acme_*", "* = two:cache/*")
        self.assertEqual(routes(rules, "a"), [("one", "acme_a"), ("two", "cache/a")])
        self.assertEqual(rules.to_public("acme_a", "one"), "a")
        self.assertEqual(rules.to_public("cache/a", "two"), "a")
        self.assertIsNone(rules.to_public("cache/a", "one"))
        self.assertIsNone(rules.to_public("acme_a", "two"))

    def test_longest(self) -> None:
        """The longest public pattern decides, whoever it is about."""
        rules = mapping("one", "* = *", "quay/* = two:*")
        self.assertEqual(routes(rules, "quay/a"), [("two", "a")])
        self.assertEqual(routes(rules, "a"), [("one", "a")])
        # What the second holds as quay/a is not what is called so here.
        self.assertEqual(rules.to_public("quay/a", "two"), "quay/quay/a")
        self.assertIsNone(rules.to_public("quay/a", "one"))

    def test_not_listed(self) -> None:
        """Upstreams that only rules name come after those that are listed."""
        rules = mapping("one", "a/* = zero:*", "a/* = one:*", "b/* = two:*")
        self.assertEqual(rules.upstreams, ("one", "zero", "two"))
        self.assertEqual(routes(rules, "a/x"), [("one", "x"), ("zero", "x")])

    def test_groups(self) -> None:
        """Upstreams that have the same names are a group."""
        rules = mapping("", "a/* = one:a/*", "b = two:b", "b = one:b", "c = two:c")
        self.assertEqual(rules.upstreams, ("one", "two"))
        self.assertEqual(rules.groups, (("one",), ("one", "two"), ("two",)))
        self.assertEqual(rules.group("b/x"), ("one", "two"))

    def test_no_aliases(self) -> None:
        """Names of an upstream that a rule names are no names here."""
        rules = mapping("", "hub/* = one:*")
        self.assertRaises(NameUnknown, rules.route, "library/a")
        self.assertEqual(routes(rules, "hub/hub/a"), [("one", "hub/a")])

    def test_aliases(self) -> None:
        """Those of all upstreams are, and lead to each in its own words."""
        rules = mapping("one two", "team = acme_team", "team = two:cache")
        self.assertEqual(
            routes(rules, "acme_team/a"), [("one", "acme_team/a"), ("two", "cache/a")]
        )
        self.assertEqual(rules.route("acme_team/a").public_name, "team/a")
        self.assertRaises(NameUnknown, rules.route, "cache/a")

    def test_too_long(self) -> None:
        """A substitute that cannot hold a name is left out; a first choice must."""
        name = "a" * 253
        rules = mapping("one two", "* = *", "* = two:cache/*")
        self.assertEqual(routes(rules, name), [("one", name)])
        self.assertEqual(rules.group(name), ("one", "two"))
        rules = mapping("two one", "* = *", "* = two:cache/*")
        self.assertRaises(NameUnknown, rules.routes, name)

    def test_refused(self) -> None:
        """Rules that contradict one another are refused, and both are named."""
        for listed, lines in (
            ("", ("a = one:x", "b = one:x")),
            ("one two", ("* = *", "a/* = two:*")),
            ("", ("a = one:x", "a = one:y")),
            ("one", ("team = acme_team", "acme_team = two:x")),
        ):
            error = self.assertRaises(InvalidRule, mapping, listed, *lines)
            for line in lines:
                self.assertIn(f"'{line}'", str(error))

    def test_blocker(self) -> None:
        """Of several rules for the same names, the same upstream's is in the way."""
        lines = ("* = *", "* = b:c/*", "* = b:d/*")
        error = self.assertRaises(InvalidRule, mapping, "a b", *lines)
        told = "'* = b:d/*' can never apply: '* = b:c/*' decides about all its names"
        self.assertEqual(str(error), told)

    def test_unused_rules(self) -> None:
        """A rule for all upstreams is of no use where each has its own."""
        rules = mapping("one", "* = acme_*", "* = one:cache/*", "team = x")
        self.assertEqual([str(rule) for rule in rules.unused_rules], ["* = acme_*"])
        self.assertEqual(routes(rules, "a"), [("one", "cache/a")])
        self.assertEqual(rules.to_public("cache/a", "one"), "a")
        self.assertIsNone(rules.to_public("acme_a", "one"))
        rules = mapping("one two", "* = acme_*", "* = one:cache/*")
        self.assertEqual(rules.unused_rules, ())
        rules = mapping("one", "a = x", "a = one:y")
        self.assertEqual([str(rule) for rule in rules.unused_rules], ["a = x"])

    def test_no_upstream(self) -> None:
        """A rule that leads nowhere says what to write."""
        error = self.assertRaises(InvalidRule, mapping, "", "a/* = x/*")
        self.assertIn("write 'upstream = NAME' above, or 'a/* = NAME:x/*'", str(error))

    def test_hint(self) -> None:
        """Who means a whole registry below a name is told how that is written."""
        error = self.assertRaises(InvalidRule, mapping, "hub", "hub/* = *")
        self.assertIn("'hub/* = NAME:*'", str(error))


class DefaultNamespaceTests(SynchronousTestCase):
    def test_short(self) -> None:
        """A name without a namespace is short for the one with it."""
        rules = mapping("hub", "* = *", namespaces=HUB)
        for name in ("nginx", "library/nginx"):
            route = rules.route(name)
            self.assertEqual(route.upstream_name, "library/nginx")
            self.assertEqual(route.public_name, "library/nginx")
        self.assertIn(
            "'nginx' is short for 'library/nginx'", rules.route("nginx").reason
        )
        self.assertEqual(routes(rules, "acme/app"), [("hub", "acme/app")])

    def test_below(self) -> None:
        """So it is below a namespace of ours that stands for the registry."""
        rules = mapping("", "hub/* = hub:*", "quay/* = quay:*", namespaces=HUB)
        self.assertEqual(routes(rules, "hub/nginx"), [("hub", "library/nginx")])
        self.assertEqual(routes(rules, "hub/library/nginx"), [("hub", "library/nginx")])
        self.assertEqual(rules.route("hub/nginx").public_name, "hub/library/nginx")
        self.assertEqual(routes(rules, "quay/nginx"), [("quay", "nginx")])

    def test_back(self) -> None:
        """Both of an upstream's ways to say it lead back to the whole name."""
        rules = mapping("hub", "* = *", namespaces=HUB)
        for name in ("nginx", "library/nginx"):
            self.assertEqual(rules.to_public(name, "hub"), "library/nginx")

    def test_second(self) -> None:
        """A second source has what the whole name leads to there."""
        rules = mapping(
            "hub mirror",
            "* = hub:*",
            "library/* = hub:library/*",
            "library/* = mirror:cache/*",
            namespaces=HUB,
        )
        expected = [("hub", "library/nginx"), ("mirror", "cache/nginx")]
        self.assertEqual(routes(rules, "nginx"), expected)
        self.assertEqual(routes(rules, "library/nginx"), expected)

    def test_cache_first(self) -> None:
        """Whose default namespace it is, is not for the order to say."""
        rules = mapping("cache hub", "* = *", "* = cache:dockerhub/*", namespaces=HUB)
        for name in ("nginx", "library/nginx"):
            self.assertEqual(
                routes(rules, name),
                [("cache", "dockerhub/library/nginx"), ("hub", "library/nginx")],
            )
        self.assertEqual(
            rules.to_public("dockerhub/library/nginx", "cache"), "library/nginx"
        )
        self.assertIsNone(rules.to_public("dockerhub/nginx", "cache"))

    def test_not_there(self) -> None:
        """What has no namespace there is in it, whether or not it can be written."""
        rules = mapping("hub", "team = acme", "* = acme_*", namespaces=HUB)
        self.assertEqual(routes(rules, "nginx"), [("hub", "library/acme_nginx")])
        self.assertEqual(routes(rules, "team"), [("hub", "library/acme")])
        self.assertEqual(rules.to_public("library/acme", "hub"), "team")


def _named(rule: Rule, section: str) -> Rule:
    return Rule(rule.public, rule.upstream, section)


SECTIONS = st.sampled_from(("", "one", "two"))
NAMED_RULES = st.builds(_named, st.sampled_from(RULES), SECTIONS)
LISTED = st.sampled_from((["one"], ["one", "two"], ["two", "one"]))
NAMESPACES = st.sampled_from(({}, {"one": "a"}, {"one": "a", "two": "b"}))


class PromiseTests(SynchronousTestCase):
    @EXAMPLES
    @given(st.lists(NAMED_RULES, min_size=1, max_size=4), LISTED, NAMESPACES)
    def test_sets(
        self, drawn: list[Rule], listed: list[str], namespaces: dict[str, str]
    ) -> None:
        """
        What every accepted set of rules promises for every name and upstream:

        1. each route's upstream name leads back to the canonical public name,
        2. which leads to the same places;
        3. no other canonical name leads to an upstream's name;
        4. a name that is shown leads to the upstream name that it stands for.
        """
        try:
            rules = NameMapping(drawn, listed, namespaces)
        except InvalidRule as error:
            self.assertTrue(any(f"'{rule}'" in str(error) for rule in drawn), error)
            return
        canonical: dict[tuple[str, str], str] = {}
        for name in SHORT_NAMES[:150]:
            for upstream in rules.upstreams:
                shown = rules.to_public(name, upstream)
                if shown is not None:
                    full = self.full(name, namespaces.get(upstream))
                    self.assertIn((upstream, full), routes(rules, shown), rules)
            try:
                found = rules.routes(name)
            except NameUnknown:
                continue
            for route in found:
                about = (rules, name, route)
                self.assertTrue(is_name(route.upstream_name), about)
                place = (route.upstream, route.upstream_name)
                self.assertIn(place, routes(rules, route.public_name), about)
                back = rules.to_public(route.upstream_name, route.upstream)
                self.assertEqual(back, route.public_name, about)
                first = canonical.setdefault(place, route.public_name)
                self.assertEqual(first, route.public_name, about)

    def full(self, name: str, namespace: str | None) -> str:
        """An upstream's name with its namespace."""
        return f"{namespace}/{name}" if namespace and "/" not in name else name
