"""Who the sandbox's users are."""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.principals import Account
from regbroker.sandbox.users import Users


class UsersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.users = Users({"alice": "wünderland", "": "x"})

    def result(self, work: Coroutine[Any, Any, Account | None]) -> str | None:
        """The user that was found; None for nobody."""
        account = self.successResultOf(Deferred.fromCoroutine(work))
        return None if account is None else account.user

    def test_check(self) -> None:
        """Only the right password of a known user will do."""
        for user, password, found in (
            ("alice", "wünderland", "alice"),
            ("alice", "", None),
            ("alice", "wünderlan", None),
            ("bob", "wünderland", None),
            ("alice", "\udc80", None),
        ):
            checked = self.users.check(user, password, "127.0.0.1")
            self.assertEqual(self.result(checked), found)

    def test_look_up(self) -> None:
        """A version is good for its own user, and for this process alone."""
        checked = self.users.check("alice", "wünderland", "127.0.0.1")
        account = self.successResultOf(Deferred.fromCoroutine(checked))
        assert account is not None
        version = account.password_version
        self.assertEqual(self.result(self.users.look_up("alice")), "alice")
        self.assertEqual(self.result(self.users.look_up("alice", version)), "alice")
        self.assertIsNone(self.result(self.users.look_up("", version)))
        self.assertIsNone(self.result(self.users.look_up("bob")))
        again = Users({"alice": "wünderland"})
        self.assertIsNone(self.result(again.look_up("alice", version)))

    def test_says_no_secrets(self) -> None:
        """What may end up in a log does not tell the password."""
        checked = self.users.check("alice", "wünderland", "127.0.0.1")
        account = self.successResultOf(Deferred.fromCoroutine(checked))
        self.assertNotIn("wünderland", repr(account))
