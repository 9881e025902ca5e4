"""The accounts that claims would make."""

from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.vouched import identity_here, vouched, why_only_claims
from regbroker.settings.ini import parse_config
from tests.assembly.test_rights_report import CONFIG

ADDRESSED = {
    "iss": "https://token.actions.githubusercontent.com",
    "aud": "registry.example.com",
    "sub": "repo:acme/app",
}
CLAIMS = {**ADDRESSED, "repository_owner": "acme", "repository": "acme/app"}


class VouchedTests(SynchronousTestCase):
    def setUp(self) -> None:
        text = CONFIG.format(tests="tests", registry="")
        self.config = parse_config(text, PurePath("/"), lambda path: None)
        self.github = self.config.identities["github"]

    def test_account(self) -> None:
        """The user and the groups are those that a login would have."""
        account, problem = vouched(self.github, CLAIMS, frozenset({"release"}))
        self.assertEqual(problem, "")
        self.assertEqual((account.user, account.groups), ("ci:acme/app", {"team:acme"}))
        self.assertEqual(account.claims, CLAIMS)
        self.assertEqual(account.conditions, {"release"})
        account, _ = vouched(self.github, CLAIMS, groups=frozenset({"ops"}))
        self.assertEqual(account.groups, {"team:acme", "ops"})

    def test_required(self) -> None:
        """What every token must have is missing."""
        _, problem = vouched(self.github, {**CLAIMS, "repository_owner": "evil"})
        self.assertEqual(
            problem, "[identity github] required-claims: not repository_owner=acme"
        )

    def test_some_claims(self) -> None:
        """A whole token makes a user; some of its claims need not."""
        some = {"repository_owner": "acme"}
        self.assertEqual(
            vouched(self.github, {**ADDRESSED, **some})[1],
            "[identity github] repository is missing",
        )
        account, problem = vouched(self.github, some, whole=False)
        self.assertEqual((account.user, problem), ("", ""))

    def test_addressed(self) -> None:
        """A whole token says from whom it is and for whom; some claims may be wrong."""
        for name, value, problem in (
            ("iss", "https://evil.test", 'iss is "https://evil.test", not https://'),
            ("aud", "sigstore", 'aud is "sigstore", and audience here is registry'),
            ("sub", "", "sub is missing, or no text"),
        ):
            for whole in (True, False):
                _, said = vouched(self.github, {**CLAIMS, name: value}, whole=whole)
                self.assertTrue(said.startswith(f"[identity github] {problem}"), said)
            missing = {k: v for k, v in CLAIMS.items() if k != name}
            self.assertIn(f"{name} is ", vouched(self.github, missing)[1])
            self.assertEqual(vouched(self.github, missing, whole=False)[1], "")
        both = {**CLAIMS, "aud": ("sigstore", "registry.example.com")}
        self.assertEqual(vouched(self.github, both, whole=False)[1], "")

    def test_conditions(self) -> None:
        """Named conditions hold that the claims fulfil, also where these are some."""
        for whole in (True, False):
            for ref, named in (("refs/tags/1", {"release"}), ("refs/heads/x", set())):
                account, _ = vouched(self.github, {**CLAIMS, "ref": ref}, whole=whole)
                self.assertEqual(account.conditions, named)

    def test_names_of_issuers(self) -> None:
        """A name that claims could make is nobody's with a password."""
        (registry,) = self.config.registries
        self.assertEqual(why_only_claims(self.config, registry, "alice"), "")
        self.assertEqual(
            why_only_claims(self.config, registry, "ci:acme/app"),
            "'ci:acme/app' is a name that [identity github] alone gives; nobody else "
            "may have it",
        )

    def test_here(self) -> None:
        """An identity is one of a registry's."""
        (registry,) = self.config.registries
        self.assertIs(identity_here(self.config, registry, "github"), self.github)
        self.assertIsNone(identity_here(self.config, registry, "gitlab"))
