"""Checkers of `twisted.cred` as sources of accounts."""

from typing import Any

from twisted.cred.checkers import (
    ANONYMOUS,
    AllowAnonymousAccess,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from regbroker.accounts.principals import Account, AccountSource
from regbroker.credchecker import CheckerAccounts
from regbroker.errors import AccountsUnavailable


@implementer(ICredentialsChecker)
class ScriptedChecker:
    """A checker that gives one answer."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def requestAvatarId(self, credentials: Any) -> Any:
        self.asked.append(credentials)
        return self.answer


class CheckerTests(SynchronousTestCase):
    def ask(self, answer: Any) -> Deferred[Account | None]:
        """Authenticate with a checker that answers so."""
        source = CheckerAccounts(ScriptedChecker(answer))
        return Deferred.fromCoroutine(source.authenticate("alice", "secret"))

    def test_twisted_checker(self) -> None:
        """A checker that Twisted brings works as it is."""
        checker = InMemoryUsernamePasswordDatabaseDontUse()
        checker.addUser(b"alice", b"wonderland")
        source: AccountSource = CheckerAccounts(checker)
        for user, password, account in (
            ("alice", "wonderland", Account("alice")),
            ("alice", "wrong", None),
            ("bob", "wonderland", None),
        ):
            result = Deferred.fromCoroutine(source.authenticate(user, password))
            self.assertEqual(self.successResultOf(result), account)

    def test_credentials(self) -> None:
        """The checker gets the name and password as UTF-8."""
        checker = ScriptedChecker(b"x")
        source = CheckerAccounts(checker)
        self.successResultOf(Deferred.fromCoroutine(source.authenticate("é", "ü")))
        (asked,) = checker.asked
        self.assertEqual((asked.username, asked.password), ("é".encode(), "ü".encode()))

    def test_avatar(self) -> None:
        """The account is called what the checker says, now or later."""
        for answer in (b"Alice", succeed(b"Alice")):
            self.assertEqual(self.successResultOf(self.ask(answer)), Account("Alice"))

    def test_no_name(self) -> None:
        """Somebody without a name is nobody here."""
        for answer in (ANONYMOUS, b""):
            self.assertIsNone(self.successResultOf(self.ask(answer)))

    def test_wrong(self) -> None:
        """What cred calls unauthorized is a wrong password."""
        self.assertIsNone(self.successResultOf(self.ask(fail(UnauthorizedLogin()))))

    def test_broken(self) -> None:
        """Any other failure is not; it is logged without its text."""
        with capturedLogs() as events:
            for answer in (fail(OSError("no database for secret")), b"\xff"):
                self.failureResultOf(self.ask(answer), AccountsUnavailable)
        logged = [event for event in events if "kind" in event]
        self.assertEqual(
            [(event["source"], event["kind"]) for event in logged],
            [
                ("checker ScriptedChecker", "OSError"),
                ("checker ScriptedChecker", "UnicodeDecodeError"),
            ],
        )
        self.assertNotIn("secret", repr(events))

    def test_cancelled(self) -> None:
        """Who stops waiting stops the checker."""
        result = self.ask(Deferred())
        result.cancel()
        self.failureResultOf(result, CancelledError)

    def test_look_up(self) -> None:
        """Without a password a checker knows nobody; it has no groups either."""
        source: AccountSource = CheckerAccounts(ScriptedChecker(b"alice"), "mine")
        result = Deferred.fromCoroutine(source.look_up("alice"))
        self.assertIsNone(self.successResultOf(result))
        self.assertFalse(source.has_groups or source.cheap_look_up)
        self.assertEqual(source.name, "mine")
        source.open()
        source.close()

    def test_other_credentials(self) -> None:
        """A checker that takes no passwords is refused at once."""
        with self.assertRaises(ValueError):
            CheckerAccounts(AllowAnonymousAccess())
