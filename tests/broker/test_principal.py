"""Who has a token of ours."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.token_parsing import parse_token
from regbroker.accounts.tokens import AccessToken, Vouched
from regbroker.broker.principal import bearer_of
from regbroker.protocol.names import Action
from regbroker.protocol.scopes import parse_scopes


class BearerTests(SynchronousTestCase):
    def token(self, vouched: Vouched | None) -> AccessToken:
        """A token as it comes back."""
        made = AccessToken(
            issuer="regbroker a.test",
            audience="a.test",
            user="ci:acme/app",
            issued=0,
            expires=300,
            id="x",
            access=parse_scopes(["repository:team/app:pull"]),
            vouched=vouched,
        )
        read = parse_token("JWT", made.claims())
        assert isinstance(read, AccessToken)
        return read

    def test_rights(self) -> None:
        """The rights are those of the token."""
        principal = bearer_of(self.token(None))
        self.assertTrue(principal.may(Action.PULL, "team/app"))
        self.assertFalse(principal.may(Action.PUSH, "team/app"))
        self.assertIsNone(principal.account)

    def test_vouched(self) -> None:
        """What an issuer has said is known again, for the catalog."""
        vouched = Vouched(
            "github", {"ref": "main"}, frozenset({"release"}), frozenset({"team:a"})
        )
        account = bearer_of(self.token(vouched)).account
        assert account is not None
        self.assertEqual(account.identity, "github")
        self.assertEqual(account.claims, {"ref": "main"})
        self.assertEqual(account.conditions, {"release"})
        self.assertEqual(account.groups, {"team:a"})
        self.assertEqual(account.expires, 300)
