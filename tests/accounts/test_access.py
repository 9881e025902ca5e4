"""Who may do what."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.access import (
    ANONYMOUS,
    AUTHENTICATED,
    AccessRules,
    Kind,
    Subject,
)
from regbroker.accounts.access_section import parse_access
from regbroker.accounts.principals import Account
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.scopes import parse_scope

RULES = {
    "alice": "team/**: pull, push",
    "@staff": "\n library/**, tools/**: pull\n ${user}/**: pull, push, delete\n",
    "authenticated": "shared: pull; **: catalog".replace("; ", "\n"),
    "anonymous": "library/**: pull",
    "root": "**: *",
}
ALICE = Account("alice")
BOB = Account("bob", frozenset({"staff"}))
ROOT = Account("root")


def rules(**options: str) -> AccessRules:
    return parse_access(options or RULES)


def mapping(*rules: str) -> NameMapping:
    return NameMapping([parse_rule(rule) for rule in rules], ["up"])


class AllowsTests(SynchronousTestCase):
    def assert_may(self, account: Account | None, name: str, actions: str) -> None:
        """Hold that an account may do these actions to a name, and no others."""
        allowed = [
            action
            for action in ("pull", "push", "delete", "catalog")
            if rules().allows(account, action, name)
        ]
        self.assertEqual(allowed, actions.split())

    def test_nobody(self) -> None:
        """Without an account only what everybody may do is allowed."""
        self.assert_may(None, "library/nginx", "pull")
        self.assert_may(None, "team/app", "")
        self.assert_may(None, "shared", "")

    def test_sums(self) -> None:
        """A user has what everybody has, and all that is granted besides."""
        self.assert_may(ALICE, "team/app", "pull push catalog")
        self.assert_may(ALICE, "library/nginx", "pull catalog")
        self.assert_may(ALICE, "shared", "pull catalog")
        self.assert_may(ALICE, "tools/go", "catalog")

    def test_identities(self) -> None:
        """An issuer's accounts have what their claims give, and nothing of users'."""
        given = rules(
            alice="team/**: pull",
            authenticated="shared: pull",
            anonymous="library/**: pull",
            **{
                "github[repository_owner=acme, ref=refs/heads/main]": "acme/**: push",
                "github[repository_owner=acme, release]": "released: push",
                "github[]": "seen: pull",
                "gitlab[]": "gitlab: pull",
            },
        )

        def allowed(*conditions: str, **claims: object) -> list[str]:
            account = Account(
                "alice",
                identity="github",
                claims=claims,
                conditions=frozenset(conditions),
            )
            names = ("acme/x", "released", "seen", "gitlab", "team/a", "shared")
            return [
                name
                for name in (*names, "library/x")
                if given.allows(account, "pull", name)
                or given.allows(account, "push", name)
            ]

        self.assertEqual(allowed(), ["seen", "library/x"])
        self.assertEqual(
            allowed(repository_owner="acme", ref="refs/heads/main"),
            ["acme/x", "seen", "library/x"],
        )
        self.assertEqual(
            allowed("release", repository_owner="acme"),
            ["released", "seen", "library/x"],
        )
        self.assertEqual(allowed(repository_owner=["other"]), ["seen", "library/x"])
        self.assertEqual(
            given.claims_of("github"), frozenset({"repository_owner", "ref"})
        )
        self.assertEqual(given.identities, frozenset({"github", "gitlab"}))

    def test_subjects_as_text(self) -> None:
        """They are written as in the section."""
        for subject, text in (
            (ANONYMOUS, "anonymous"),
            (AUTHENTICATED, "authenticated"),
            (Subject(Kind.USER, "alice"), "alice"),
            (Subject(Kind.GROUP, "ops"), "@ops"),
            (Subject(Kind.IDENTITY, "github"), "github[]"),
        ):
            self.assertEqual(str(subject), text)

    def test_groups(self) -> None:
        """A group's rights are those of its members, their own names included."""
        self.assert_may(BOB, "tools/go", "pull catalog")
        self.assert_may(BOB, "bob/app", "pull push delete catalog")
        self.assert_may(BOB, "alice/app", "catalog")
        self.assert_may(BOB, "team/app", "catalog")

    def test_all_actions(self) -> None:
        """A star is all actions."""
        self.assert_may(ROOT, "any/thing", "pull push delete catalog")

    def test_no_names(self) -> None:
        """What is no repository name is nobody's."""
        for name in ("", "Team", "a//b", "../a", "**"):
            self.assert_may(ROOT, name, "")

    def test_subject_is_not_a_name(self) -> None:
        """Nobody becomes somebody else by being called like a rule's subject."""
        for user in ("@staff", "ALICE", "alice ", "anonymous", "authenticated", "*"):
            account = Account(user)
            self.assertFalse(rules().allows(account, "pull", "team/app"), user)
            self.assertFalse(rules().allows(account, "pull", "tools/go"), user)
        self.assertFalse(
            rules().allows(Account("x", frozenset({"alice"})), "pull", "team/app")
        )

    def test_case(self) -> None:
        """Users and groups are case-sensitive."""
        mixed = rules(Alice="a: pull", **{"@Staff": "b: pull"})
        self.assertTrue(mixed.allows(Account("Alice"), "pull", "a"))
        self.assertFalse(mixed.allows(ALICE, "pull", "a"))
        self.assertFalse(mixed.allows(BOB, "pull", "b"))

    def test_unknown_action(self) -> None:
        """An action that no rule can name is refused, the star included."""
        for action in ("*", "metadata", ""):
            self.assertFalse(rules().allows(ROOT, action, "a"))

    def test_anonymous_may_anything(self) -> None:
        """Whether anything is open to everybody."""
        self.assertTrue(rules().anonymous_may_anything)
        self.assertFalse(rules(alice="a: pull").anonymous_may_anything)
        self.assertFalse(AccessRules(()).anonymous_may_anything)

    @given(st.text(), st.text(), st.sampled_from(["pull", "push", "delete"]))
    def test_own_namespace_only(self, user: str, name: str, action: str) -> None:
        """Whatever somebody is called, ${user} grants their own names only."""
        own = rules(authenticated="${user}/**: *")
        for asked in (name, user, f"{user}/x", "team", "team/app"):
            if own.allows(Account(user), action, asked):
                self.assertEqual(asked.split("/")[0], user)


class GrantedTests(SynchronousTestCase):
    def assert_granted(
        self, account: Account | None, wanted: str, granted: str | None
    ) -> None:
        scope = rules().granted(account, parse_scope(wanted))
        self.assertEqual(scope and str(scope), granted)
        if scope is not None:
            self.assertEqual(parse_scope(str(scope)), scope)

    def test_intersection(self) -> None:
        """Less than asked for is granted, in the order of the request."""
        ask = "repository:team/app:push,pull,delete"
        self.assert_granted(ALICE, ask, "repository:team/app:push,pull")
        self.assert_granted(ROOT, ask, ask)
        self.assert_granted(None, ask, None)
        self.assert_granted(
            None, "repository:library/a:pull,push", "repository:library/a:pull"
        )
        self.assert_granted(ALICE, "repository:team/app:", None)
        self.assert_granted(ALICE, "repository:team/app:metadata", None)
        self.assert_granted(ALICE, "repository:Team:pull", None)

    def test_star(self) -> None:
        """A requested star is all that is granted; it stays when that is all."""
        ask = "repository:team/app:*"
        self.assert_granted(ALICE, ask, "repository:team/app:pull,push")
        self.assert_granted(ROOT, ask, "repository:team/app:pull,push,delete,*")
        self.assert_granted(
            BOB, "repository:bob/x:delete,*", "repository:bob/x:pull,push,delete,*"
        )
        self.assert_granted(None, ask, None)

    def test_resource_class(self) -> None:
        """The class of a repository stays."""
        ask = "repository(plugin):team/app:pull,delete"
        self.assert_granted(ALICE, ask, "repository(plugin):team/app:pull")

    def test_catalog(self) -> None:
        """The catalog's one scope is for those who may see something of it."""
        ask = "registry:catalog:*"
        self.assert_granted(ALICE, ask, ask)
        self.assert_granted(None, ask, None)
        for other in (
            "registry:catalog:pull",
            "registry:other:*",
            "registry(x):catalog:*",
        ):
            self.assert_granted(ROOT, other, None)

    def test_catalog_of_a_namespace(self) -> None:
        """The catalog may be granted for some names only."""
        some = rules(alice="team/**: catalog")
        self.assertTrue(some.allows_catalog(ALICE))
        self.assertFalse(some.allows_catalog(BOB))
        self.assertTrue(some.allows(ALICE, "catalog", "team/app"))
        self.assertFalse(some.allows(ALICE, "catalog", "other"))

    def test_opaque(self) -> None:
        """What does not parse, or has another type, is granted to nobody."""
        for other in ("aws", "artifact:team/app:pull", "repository:team/app"):
            self.assert_granted(ROOT, other, None)
