"""Passwords, and signed texts in their place."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.principals import Account, LoginRefused
from regbroker.broker.local_logins import LocalLogins
from regbroker.events import Event


class Passwords:
    """Takes every password, and remembers it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def check(self, user: str, password: str, address: str) -> Account | None:
        self.seen.append(password)
        return Account(user)

    async def look_up(
        self, user: str, password_version: str | None = None
    ) -> Account | None:
        return None


class Signed:
    """Takes what begins with a word, and refuses what ends with another."""

    kind = "identity"

    def takes(self, text: str) -> bool:
        return text.startswith("signed")

    def holds(self, text: str) -> bool:
        return "signed" in text

    def owns(self, user: str) -> bool:
        return user.startswith("ci:")

    async def account(self, user: str, text: str) -> Account:
        if text.endswith("bad"):
            raise LoginRefused("aud is wrong")
        return Account("ci:x", identity="ci")


class Robots(Signed):
    """Users of ours with tokens."""

    kind = "robot-token"

    def takes(self, text: str) -> bool:
        return text.startswith("robot")

    def holds(self, text: str) -> bool:
        return "robot" in text

    def owns(self, user: str) -> bool:
        return False

    async def account(self, user: str, text: str) -> Account:
        return Account(user)


class LoginTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.passwords = Passwords()
        self.logins = LocalLogins("registry.test", self.passwords, [Signed(), Robots()])

    def check(self, password: str, user: str = "alice") -> Account | None:
        checking = Deferred.fromCoroutine(self.logins.check(user, password, "::1"))
        account: Account | None = self.successResultOf(checking)
        return account

    def test_passwords(self) -> None:
        """What is not signed is a password."""
        self.assertEqual(self.check("secret"), Account("alice"))
        self.assertEqual(self.passwords.seen, ["secret"])

    def test_signed(self) -> None:
        """What is signed is no password, good or not."""
        self.assertEqual(self.check("signed"), Account("ci:x", identity="ci"))
        self.assertIsNone(self.check("signed, bad"))
        self.assertEqual(self.passwords.seen, [])

    def test_stray_tokens(self) -> None:
        """With something beside it, or as the user, a token is no password either."""
        for user, password in (
            ("alice", "signed, bad\n".rjust(20)),
            ("alice", " robot"),
            ("signed", "secret"),
            ("robot, good", "signed"),
            ("signed", ""),
        ):
            event = Event(lambda: 0.0)
            checking = self.logins.check(user, password, "::1", event)
            self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(checking)))
            self.assertIn("the password is not a token alone", event.login_problem)
        self.assertEqual(self.passwords.seen, [])

    def test_imitation(self) -> None:
        """A user of a directory who has a name that an issuer gives is refused."""
        self.assertIsNone(self.check("secret", "ci:x"))
        self.assertIsNone(self.check("robot", "ci:x"))
        self.assertEqual(self.check("robot", "deploy"), Account("deploy"))

    def test_kind(self) -> None:
        """The record of a request says what was shown, and why it was not good."""
        for password, kind, problem in (
            ("signed", "identity", ""),
            ("signed, bad", "identity", "aud is wrong"),
            ("secret", "", ""),
        ):
            event = Event(lambda: 0.0)
            checking = self.logins.check("alice", password, "::1", event)
            self.successResultOf(Deferred.fromCoroutine(checking))
            self.assertEqual((event.credentials, event.login_problem), (kind, problem))
