"""What the sandbox's tokens allow, to whom, and for how long."""

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.key_file import make_key
from regbroker.accounts.signing import SigningKeys
from regbroker.accounts.tokens import ACCESS_LIFE, AccessToken
from regbroker.protocol.scopes import format_scopes, parse_scopes
from regbroker.sandbox.tokens import Tokens, Users


class UsersTests(SynchronousTestCase):
    def test_check(self) -> None:
        """Only the right password of a known user will do."""
        users = Users({"alice": "wünderland", "": "x"})
        self.assertTrue(users.check("alice", "wünderland"))
        self.assertFalse(users.check("alice", ""))
        self.assertFalse(users.check("alice", "wünderlan"))
        self.assertFalse(users.check("bob", "wünderland"))


class TokensTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.keys = SigningKeys(make_key(Path(self.mktemp())), self.clock.seconds)
        self.tokens = self.make()

    def make(self, anonymous_pull: bool = False) -> Tokens:
        users = Users({"alice": "wonderland"}, anonymous_pull=anonymous_pull)
        return Tokens(users, self.keys, now=self.clock.seconds)

    def issue(self, user: str | None, *scopes: str) -> tuple[str, AccessToken]:
        """A token, and what it says."""
        text = self.tokens.issue(user, parse_scopes(scopes))
        token = self.tokens.find(text)
        assert token is not None
        return text, token

    def granted(
        self, user: str | None, asked: str, tokens: Tokens | None = None
    ) -> str:
        """The scopes that are granted, written as in a reply."""
        tokens = tokens or self.tokens
        token = tokens.find(tokens.issue(user, parse_scopes([asked])))
        assert token is not None
        return format_scopes(token.access)

    def test_user(self) -> None:
        """A user gets what a registry knows, and nothing else."""
        for asked, granted in (
            ("repository:a/b:pull,push", "repository:a/b:pull,push"),
            ("repository:a/b:push,fly", "repository:a/b:push"),
            (
                "repository:a:delete repository:b:*",
                "repository:a:delete repository:b:*",
            ),
            ("repository(plugin):a:pull", "repository(plugin):a:pull"),
            ("registry:catalog:*", "registry:catalog:*"),
            ("registry:other:*", ""),
            ("repository:A:pull", ""),
            ("aws", ""),
            ("", ""),
        ):
            self.assertEqual(self.granted("alice", asked), granted)

    def test_stranger(self) -> None:
        """A stranger gets nothing, or pulling where that is allowed."""
        open = self.make(anonymous_pull=True)
        for asked, granted in (
            ("repository:a:pull,push", "repository:a:pull"),
            ("repository:a:*", "repository:a:pull"),
            ("repository:a:push", ""),
            ("registry:catalog:*", ""),
        ):
            self.assertEqual(self.granted(None, asked), "")
            self.assertEqual(self.granted(None, asked, open), granted)

    def test_allows(self) -> None:
        """A token allows what it names: per repository, and per action."""
        scopes = ("repository:a:pull repository:b:*", "repository:a:push")
        _, grant = self.issue("alice", *scopes)
        for name, action, allowed in (
            ("a", "pull", True),
            ("a", "push", True),
            ("a", "delete", False),
            ("b", "delete", True),
            ("c", "pull", False),
        ):
            self.assertEqual(grant.allows("repository", name, action), allowed)
        self.assertFalse(grant.allows("registry", "catalog", "*"))

    def test_expires(self) -> None:
        """After its life a token is unknown."""
        text, token = self.issue("alice")
        self.clock.advance(ACCESS_LIFE - 1)
        self.assertIs(self.tokens.find(text), token)
        self.clock.advance(1)
        self.assertIsNone(self.tokens.find(text))
        self.assertIsNone(self.tokens.find("made up"))

    def test_refresh(self) -> None:
        """A refresh token stands for its user, and opens nothing by itself."""
        refresh = self.tokens.issue_refresh("alice")
        self.assertEqual(self.tokens.find_refresh(refresh), "alice")
        self.assertIsNone(self.tokens.find(refresh))
        self.assertIsNone(self.tokens.find_refresh(self.issue("alice")[0]))
        self.assertIsNone(self.tokens.find_refresh("made up"))

    def test_forgotten(self) -> None:
        """Another start, with the same keys, knows none of them."""
        text, refresh = self.issue("alice")[0], self.tokens.issue_refresh("alice")
        again = self.make()
        self.assertIsNone(again.find(text))
        self.assertIsNone(again.find_refresh(refresh))

    def test_says_no_secrets(self) -> None:
        """What may end up in a log does not tell the token."""
        text, token = self.issue("alice")
        self.assertNotIn(text, repr(token))
