"""What a token request asks for, and where it leads."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.broker.wanted_scopes import (
    MAX_WANTED_SCOPES,
    MAX_WANTED_SIZE,
    WantedScopes,
    is_short,
    question,
    routed,
    wanted_scopes,
)
from regbroker.errors import NameUnknown
from regbroker.naming.mapping import NameMapping, Route
from regbroker.naming.rules import parse_rule
from regbroker.protocol.scopes import parse_scopes
from regbroker.protocol.token_requests import TokenRequest

HOST = "registry.test"
RULES = ("team = acme_team", "hub/* = other:hub_*")


def asking(*scopes: str, username: str = "alice") -> TokenRequest:
    """A request for these scopes; of nobody without a `username`."""
    return TokenRequest("GET", scopes=parse_scopes(scopes), username=username)


class WantedTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        rules = [parse_rule(rule) for rule in RULES]
        self.mapping = NameMapping(rules, ["up", "other"])

    def wanted(self, *scopes: str, upstream: str = "up") -> WantedScopes:
        """What is wanted of an upstream."""
        return wanted_scopes(asking(*scopes), self.mapping, HOST, upstream)

    def texts(self, *scopes: str, upstream: str = "up") -> list[str]:
        """The scopes for an upstream."""
        return [str(each) for each in self.wanted(*scopes, upstream=upstream).scopes]


class WantedScopesTests(WantedTestCase):
    def test_upstreams(self) -> None:
        """Each upstream gets what leads there, in its own words."""
        scopes = "repository:team/app:pull,push", "repository:hub/x:pull"
        shared, hub = "repository:acme_team/app:pull,push", "repository:hub_x:pull"
        for upstream, texts, names in (
            ("up", [shared], {"acme_team/app": "team/app"}),
            ("other", [shared, hub], {"acme_team/app": "team/app", "hub_x": "hub/x"}),
        ):
            self.assertEqual(self.texts(*scopes, upstream=upstream), texts)
            self.assertEqual(self.wanted(*scopes, upstream=upstream).names, names)

    def test_not_about_repositories(self) -> None:
        """What is about no repository is for each upstream, as it is."""
        for upstream in ("up", "other"):
            texts = self.texts("registry:catalog:*", "aws", upstream=upstream)
            self.assertEqual(texts, ["registry:catalog:*", "aws"])

    def test_left_out(self) -> None:
        """What no rule maps, does not parse or is no name is left out."""
        for scope in (
            "repository:stranger/app:pull",
            "repository:UPPER:pull",
            "repository:team//app:pull",
            "repository::pull",
            "Repository:acme_secret/app:pull",
            "repository",
        ):
            texts = self.texts(scope, "repository:team/app:pull")
            self.assertEqual(texts, ["repository:acme_team/app:pull"], scope)
            self.assertEqual(self.texts(scope), [])

    def test_as_written(self) -> None:
        """The names that lead back are those that the client has written."""
        for name in ("team/app", "acme_team/app", f"{HOST}/team/app"):
            wanted = self.wanted(f"repository:{name}:pull")
            self.assertEqual(wanted.names, {"acme_team/app": name})

    def test_names(self) -> None:
        """The names for the log, and those to pull from."""
        wanted = self.wanted(
            "repository:team/a:pull,push",
            "repository:team/b:push",
            "repository:team/c:*",
            "registry:catalog:*",
        )
        self.assertEqual(
            wanted.upstream_names, "acme_team/a,acme_team/b,acme_team/c,catalog"
        )
        pulls = [("up", "acme_team/a"), ("up", "acme_team/c")]
        self.assertEqual(wanted.pulls("up"), pulls)


class RoutedTests(WantedTestCase):
    def test_routes(self) -> None:
        """A repository has its routes; what is none has no routes."""
        request = asking("repository:hub/x:pull", "registry:catalog:*")
        ((first, routes), (second, none)) = routed(request, self.mapping, HOST)
        self.assertEqual((first.name, second.name), ("hub/x", "catalog"))
        ((route,), expected) = routes, self.mapping.routes("hub/x")
        self.assertIsInstance(route, Route)
        self.assertEqual((route,), expected)
        self.assertEqual(none, ())

    def test_unknown(self) -> None:
        """Only who is nobody and asks for nothing else is told that it is unknown."""
        unknown, known = "repository:stranger/app:pull", "repository:team/app:pull"
        self.assertEqual(routed(asking(unknown), self.mapping, HOST), [])
        ((scope, _),) = routed(asking(unknown, known, username=""), self.mapping, HOST)
        self.assertEqual(scope.name, "team/app")
        with self.assertRaises(NameUnknown):
            routed(asking(unknown, username=""), self.mapping, HOST)


class QuestionTests(SynchronousTestCase):
    def test_same(self) -> None:
        """Whether it is somebody counts, and the host, but not who it is."""
        scope = "repository:team/app:pull"
        alice = question(asking(scope), HOST)
        self.assertEqual(question(asking(scope, username="bob"), HOST), alice)
        self.assertNotEqual(question(asking(scope, username=""), HOST), alice)
        self.assertNotEqual(question(asking(scope), "b.test"), alice)
        self.assertNotEqual(question(asking(scope, scope + ",push"), HOST), alice)

    def test_short(self) -> None:
        """Only what takes little memory is short: few scopes, and few characters."""
        for count, is_remembered in (
            (MAX_WANTED_SCOPES, True),
            (MAX_WANTED_SCOPES + 1, False),
        ):
            scopes = [f"repository:a{number}:pull" for number in range(count)]
            self.assertIs(is_short(asking(*scopes), HOST), is_remembered)
        rest = MAX_WANTED_SIZE - len(HOST) - len("repository::pull")
        for size, is_remembered in ((rest, True), (rest + 1, False)):
            request = asking(f"repository:{'a' * size}:pull")
            self.assertIs(is_short(request, HOST), is_remembered)
