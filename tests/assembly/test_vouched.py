"""The accounts that claims would make."""

from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.vouched import identity_here, vouched
from regbroker.settings.ini import parse_config
from tests.assembly.test_rights_report import CONFIG

CLAIMS = {"repository_owner": "acme", "repository": "acme/app"}


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
            vouched(self.github, some)[1], "[identity github] repository is missing"
        )
        account, problem = vouched(self.github, some, whole=False)
        self.assertEqual((account.user, problem), ("", ""))

    def test_here(self) -> None:
        """An identity is one of a registry's."""
        (registry,) = self.config.registries
        self.assertIs(identity_here(self.config, registry, "github"), self.github)
        self.assertIsNone(identity_here(self.config, registry, "gitlab"))
