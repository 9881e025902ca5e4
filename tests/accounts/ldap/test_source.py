"""Checks against a directory that answers what a test wants."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from ldaptor.protocols import pureber, pureldap
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol, ServerFactory
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from regbroker.accounts.ldap import connection
from regbroker.accounts.ldap.source import MAX_CHECKS, LdapAccounts
from regbroker.accounts.ldap.url import LdapUrl, parse_ldap_url
from regbroker.accounts.principals import AccountSource
from regbroker.errors import AccountsUnavailable, ConfigurationError
from tests.proxycase import HeldTime

T = TypeVar("T")

ALICE = b"uid=alice,dc=x"
READER = "cn=reader,dc=x"
NOBODY = b"cn=no account of this name,dc=x"


class Directory(Protocol):
    """
    Answers binds with codes by DN, and searches with alice's entry.

    `steps` are what clients have asked for, in order.
    """

    codes: dict[bytes, int]
    message: str
    shown: list[tuple[str, list[str]]]
    steps: list[Any]
    silent: bool
    tls_code: int
    found: list[bytes]

    def connectionMade(self) -> None:
        """Begin with nothing received."""
        self._buffer = b""
        self.steps.append("connect")

    def dataReceived(self, data: bytes) -> None:
        """Answer."""
        self._buffer += data
        while self._buffer and not self.silent:
            if self._buffer[:1] != b"\x30":
                assert self.transport is not None
                self.transport.loseConnection()
                return
            message, length = pureber.berDecodeObject(connection._DECODER, self._buffer)
            self._buffer = self._buffer[length:]
            self._answer(message.id, message.value)

    def _answer(self, number: int, request: Any) -> None:
        if isinstance(request, pureldap.LDAPBindRequest):
            self.steps.append((request.dn, request.auth))
            code = self.codes.get(request.dn, 49)
            answer = pureldap.LDAPBindResponse(code, errorMessage=self.message)
            self._send(number, answer)
        elif isinstance(request, pureldap.LDAPExtendedRequest):
            self.steps.append("StartTLS")
            self._send(number, pureldap.LDAPExtendedResponse(resultCode=self.tls_code))
        elif isinstance(request, pureldap.LDAPSearchRequest):
            self.steps.append("search")
            for dn in self.found:
                attributes = [("uid", ["alice"]), ("entryCSN", ["1"]), *self.shown]
                self._send(number, pureldap.LDAPSearchResultEntry(dn, attributes))
            self._send(number, pureldap.LDAPSearchResultDone(resultCode=0))

    def _send(self, number: int, value: Any) -> None:
        assert self.transport is not None
        self.transport.write(pureldap.LDAPMessage(value, id=number).toWire())


def start(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Begin some work."""
    return Deferred.fromCoroutine(work)


def calls(held: HeldTime) -> list[Any]:
    """Return what is to happen on a held clock."""
    return list(held.clock.getDelayedCalls())


class ScriptedTestCase(TestCase):
    timeout = 20

    def setUp(self) -> None:
        class Ours(Directory):
            codes = {READER.encode(): 0, ALICE: 0}
            message = ""
            shown: list[tuple[str, list[str]]] = []
            steps: list[Any] = []
            silent = False
            tls_code = 0
            found = [ALICE]

        self.directory = Ours
        self.factory = cast(ServerFactory, Factory.forProtocol(Ours))
        listener: Any = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(listener.stopListening)
        port = listener.getHost().port
        self.url = parse_ldap_url(f"ldap://127.0.0.1:{port}/dc=x")

    def open_accounts(self, **options: Any) -> LdapAccounts:
        """Accounts in this directory, in clear."""
        given: dict[str, Any] = {"start_tls": False}
        accounts = LdapAccounts(self.url, cast(Any, reactor), **(given | options))
        self.addCleanup(accounts.close)
        accounts.open()
        return accounts


class CheckTests(ScriptedTestCase):
    async def test_steps(self) -> None:
        """Bind, search, search for groups, bind; each check on its own connection."""
        accounts = self.open_accounts(
            bind_dn=READER, bind_password=lambda: "own", group_base="ou=groups,dc=x"
        )
        account = await accounts.authenticate("ALICE", "right")
        assert account is not None
        self.assertEqual(account.user, "alice")
        ways = ["connect", (READER.encode(), b"own"), "search", "search"]
        self.assertEqual(self.directory.steps, [*ways, (ALICE, b"right")])
        del self.directory.steps[:]
        self.assertEqual(await accounts.look_up("alice"), account)
        self.assertEqual(self.directory.steps, ways)

    async def test_anonymous(self) -> None:
        """Without an account of our own nothing is bound before the search."""
        accounts = self.open_accounts()
        self.assertIsNotNone(await accounts.authenticate("alice", "right"))
        self.assertEqual(self.directory.steps, ["connect", "search", (ALICE, b"right")])

    async def test_unknown_user(self) -> None:
        """The password is tried on nobody, and does not count if it is right."""
        self.directory.found = []
        self.directory.codes = {NOBODY: 0}
        accounts = self.open_accounts()
        self.assertIsNone(await accounts.authenticate("mallory", "right"))
        self.assertEqual(
            self.directory.steps, ["connect", "search", (NOBODY, b"right")]
        )

    async def test_unknown_users_take_as_long(self) -> None:
        """What the directory's hash takes is waited for where there is none."""
        held = HeldTime()
        accounts = LdapAccounts(self.url, cast(Any, held), start_tls=False)
        self.addCleanup(accounts.close)
        accounts.open()

        class Slow(self.directory):  # type: ignore[misc,name-defined]
            def _answer(self, number: int, request: Any) -> None:
                if getattr(request, "dn", b"") == ALICE:
                    held.clock.advance(1.7)
                super()._answer(number, request)

        self.factory.protocol = Slow
        self.directory.codes = {}
        self.assertIsNone(await accounts.authenticate("alice", "wrong"))
        self.directory.found = []
        unknown = start(accounts.authenticate("mallory", "wrong"))
        while not any(
            1.6 < call.getTime() - held.seconds() < 1.8 for call in calls(held)
        ):
            await deferLater(reactor, 0)
        self.assertFalse(unknown.called)
        held.clock.advance(1.7)
        self.assertIsNone(await unknown)

    async def test_name_of_nothing(self) -> None:
        """To bind with an empty name is to be nobody, so it is not done."""
        self.directory.found = [b""]
        self.directory.codes = {b"": 0}
        accounts = self.open_accounts()
        self.assertIsNone(await accounts.authenticate("alice", "right"))
        self.assertNotIn((b"", b"right"), self.directory.steps)

    async def test_answers_to_a_bind(self) -> None:
        """Some say no to the user; the others that the directory cannot say."""
        accounts = self.open_accounts()
        for code in (19, 32, 48, 49, 50, 53):
            self.directory.codes = {ALICE: code}
            self.assertIsNone(await accounts.authenticate("alice", "x"), str(code))
        for code in (1, 2, 8, 10, 11, 13, 14, 51, 52, 80, 4242):
            self.directory.codes = {ALICE: code}
            with self.assertRaises(AccountsUnavailable):
                await accounts.authenticate("alice", "x")

    async def test_disabled(self) -> None:
        """A disabled account gets nothing: by no token, and by no password."""
        accounts = self.open_accounts()
        self.directory.shown = [("nsAccountLock", ["TRUE"])]
        for checking in (
            accounts.look_up("ALICE"),
            accounts.authenticate("alice", "right"),
        ):
            with capturedLogs() as events:
                self.assertIsNone(await checking)
            self.assertEqual(
                logged(events),
                f"ldap {self.url}: 'alice' is refused: nsAccountLock is true",
            )
        self.assertIn((ALICE, b"right"), self.directory.steps)

    async def test_why_refused(self) -> None:
        """The log says what is wrong where it is not the password."""
        accounts = self.open_accounts()
        for code, message, why in (
            (49, "", ""),
            (49, "AcceptSecurityContext error, data 775", "the account is locked"),
            (53, "Inactive.", "the directory answers unwillingToPerform: Inactive."),
        ):
            self.directory.codes, self.directory.message = {ALICE: code}, message
            with capturedLogs() as events:
                self.assertIsNone(await accounts.authenticate("alice", "right"))
            said = f"ldap {self.url}: 'alice' is refused: {why}" if why else ""
            self.assertEqual(logged(events), said)
        self.directory.found = []
        self.directory.codes = {NOBODY: 53}
        with capturedLogs() as events:
            self.assertIsNone(await accounts.authenticate("mallory", "right"))
        self.assertEqual(logged(events), "")

    async def test_our_own_account_refused(self) -> None:
        """What the directory says of the account that searches is in the log."""
        self.directory.codes = {READER.encode(): 49}
        self.directory.message = "AcceptSecurityContext error, data 532"
        accounts = self.open_accounts(bind_dn=READER, bind_password=lambda: "own")
        with capturedLogs() as events, self.assertRaises(AccountsUnavailable):
            await accounts.look_up("alice")
        self.assertIn(
            f"ldap-bind-dn: it answers invalidCredentials: {self.directory.message}",
            logged(events),
        )

    async def test_nothing_to_ask(self) -> None:
        """No password, no name, no text: the directory is not even dialled."""
        accounts = self.open_accounts()
        for user, password in (
            ("alice", ""),
            ("", "right"),
            ("alice", "\udcff"),
            ("\udcff", "right"),
        ):
            self.assertIsNone(await accounts.authenticate(user, password))
        self.assertIsNone(await accounts.look_up(""))
        self.assertEqual(self.directory.steps, [])

    async def test_start_tls_refused(self) -> None:
        """A directory without StartTLS gets no password."""
        self.directory.tls_code = 2
        accounts = self.open_accounts(start_tls=True)
        with capturedLogs() as events, self.assertRaises(AccountsUnavailable):
            await accounts.authenticate("alice", "right")
        self.assertEqual(self.directory.steps, ["connect", "StartTLS"])
        self.assertIn("StartTLS: it answers protocolError", logged(events))

    async def test_start_tls_without_tls(self) -> None:
        """Nor one that agrees to TLS and cannot speak it."""
        accounts = self.open_accounts(start_tls=True, timeout=0.3)
        with capturedLogs() as events, self.assertRaises(AccountsUnavailable):
            await accounts.authenticate("alice", "right")
        self.assertEqual(self.directory.steps[:2], ["connect", "StartTLS"])
        self.assertNotIn((ALICE, b"right"), self.directory.steps)
        self.assertEqual(len(logged(events).splitlines()), 1)

    async def test_in_turn(self) -> None:
        """No more checks at once than there are turns."""
        self.directory.silent = True
        accounts = self.open_accounts()
        checks = [start(accounts.look_up("alice")) for _ in range(3 * MAX_CHECKS)]
        while len(self.directory.steps) < MAX_CHECKS:
            await deferLater(reactor, 0.01)
        checks[0].addErrback(lambda failure: None)
        checks[0].cancel()
        while len(self.directory.steps) == MAX_CHECKS:
            await deferLater(reactor, 0.01)
        self.assertEqual(self.directory.steps, ["connect"] * (MAX_CHECKS + 1))
        accounts.close()
        for check in checks[1:]:
            with self.assertRaises(AccountsUnavailable):
                await check

    async def test_not_open(self) -> None:
        """Before it is opened and after it is closed nothing is asked."""
        accounts = LdapAccounts(self.url, cast(Any, reactor), start_tls=False)
        for _ in range(2):
            with self.assertRaises(AccountsUnavailable):
                await accounts.look_up("alice")
            accounts.open()
            accounts.close()
        accounts.open()
        self.assertIsNotNone(await accounts.look_up("alice"))
        self.assertEqual(self.directory.steps, ["connect", "search"])

    async def test_every_change_is_logged_once(self) -> None:
        """However many checks fail, and for whatever reasons."""
        accounts = self.open_accounts()
        with capturedLogs() as events:
            for codes in ({ALICE: 51}, {ALICE: 52}, {ALICE: 0}, {ALICE: 0}):
                self.directory.codes = codes
                checks = [start(accounts.authenticate("alice", "x")) for _ in "123"]
                for check in checks:
                    check.addErrback(lambda failure: failure.trap(AccountsUnavailable))
                await gatherResults(checks)
        lines = logged(events).splitlines()
        self.assertEqual(
            lines,
            [
                f"ldap {self.url}: the bind of a user: it answers busy",
                f"ldap {self.url}: answers again",
            ],
        )


def logged(events: Sequence[LogEvent]) -> str:
    """What regbroker has said."""
    own = [e for e in events if str(e["log_namespace"]).startswith("regbroker.")]
    return "\n".join(formatEvent(event) for event in own)


class ConfigurationTests(SynchronousTestCase):
    url = LdapUrl("ldaps", "dir.example.com", 636, "dc=x")

    def test_plain(self) -> None:
        """A URL is enough; the name has all of it."""
        accounts: AccountSource = LdapAccounts(self.url, cast(Any, reactor))
        self.assertTrue(accounts.has_groups)
        self.assertEqual(
            accounts.name,
            "ldap ldaps://dir.example.com/dc=x?uid?sub?(objectClass=*)",
        )

    def test_all_problems(self) -> None:
        """All that cannot be used is said at once."""
        path = Path(self.mktemp())
        path.write_text("no certificate")
        with self.assertRaises(ConfigurationError) as caught:
            LdapAccounts(
                self.url,
                cast(Any, reactor),
                trust_root_file=path,
                group_base="groups",
                group_filter="(cn=x)",
            )
        options = [problem.partition(":")[0] for problem in caught.exception.problems]
        self.assertEqual(
            options, ["ldap-ca-file", "ldap-group-base", "ldap-group-filter"]
        )
        with self.assertRaisesRegex(ConfigurationError, "No such file"):
            LdapAccounts(
                self.url, cast(Any, reactor), trust_root_file=path.with_name("no file")
            )

    def test_without_ldaptor(self) -> None:
        """The extra is missing."""
        self.patch(connection, "pureldap", None)
        with self.assertRaisesRegex(ConfigurationError, r"regbroker\[ldap\]"):
            LdapAccounts(self.url, cast(Any, reactor))
