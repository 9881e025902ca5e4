"""What the sandbox's tokens allow, to whom, and for how long."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.scopes import format_scopes, parse_scopes
from regbroker.sandbox import tokens as tokens_module
from regbroker.sandbox.tokens import LIFETIME, Tokens, Users


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
        self.tokens = self.make()

    def make(self, anonymous_pull: bool = False) -> Tokens:
        users = Users({"alice": "wonderland"}, anonymous_pull=anonymous_pull)
        return Tokens(users, now=self.clock.seconds)

    def granted(
        self, user: str | None, asked: str, tokens: Tokens | None = None
    ) -> str:
        """The scopes that are granted, written as in a reply."""
        _, grant = (tokens or self.tokens).issue(user, parse_scopes([asked]))
        return format_scopes(grant.scopes)

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
        scopes = parse_scopes(
            ["repository:a:pull repository:b:*", "repository:a:push"],
        )
        token, _ = self.tokens.issue("alice", scopes)
        grant = self.tokens.find(token)
        assert grant is not None
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
        token, grant = self.tokens.issue("alice", ())
        self.clock.advance(LIFETIME - 1)
        self.assertIs(self.tokens.find(token), grant)
        self.clock.advance(1)
        self.assertIsNone(self.tokens.find(token))
        self.assertIsNone(self.tokens.find("made up"))

    def test_bounded(self) -> None:
        """The oldest tokens go when there are too many."""
        self.patch(tokens_module, "MAX_TOKENS", 2)
        self.patch(tokens_module, "MAX_REFRESH_TOKENS", 2)
        issued = [self.tokens.issue("alice", ())[0] for _ in range(3)]
        self.assertEqual(
            [self.tokens.find(t) is not None for t in issued], [False, True, True]
        )
        refresh = [self.tokens.issue_refresh("alice") for _ in range(3)]
        self.assertEqual(
            [self.tokens.find_refresh(t) for t in refresh], [None, "alice", "alice"]
        )

    def test_says_no_secrets(self) -> None:
        """What may end up in a log does not tell the token."""
        token, grant = self.tokens.issue("alice", ())
        self.assertNotIn(token, repr(grant))
