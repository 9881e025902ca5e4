"""A real directory: who may log in, and what happens when it goes away."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import (
    ILogObserver,
    LogEvent,
    capturedLogs,
    formatEvent,
    globalLogPublisher,
)
from twisted.trial.unittest import TestCase

from regbroker.accounts.ldap.source import MAX_CHECKS, LdapAccounts
from regbroker.accounts.ldap.url import parse_ldap_url
from regbroker.accounts.principals import Account
from regbroker.errors import AccountsUnavailable

from .peers.certificates import Authority
from .peers.slapd import (
    ALICE,
    BOB,
    GROUPS,
    PASSWORDS,
    PEOPLE,
    READER,
    READER_PASSWORD,
    ROOT_PASSWORD,
    SUFFIX,
    WEIRD,
    Slapd,
)

T = TypeVar("T")

SEARCH = f"/{PEOPLE}?uid?sub?(objectclass=posixAccount)"
SHORT = 0.5


def start(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Begin some work."""
    return Deferred.fromCoroutine(work)


def connections_to(server: socket.socket) -> int:
    """How many connections a server that accepts none has got."""
    server.setblocking(False)
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


class SlapdTestCase(TestCase):
    """A directory and an authority; nothing secret may be in our log at the end."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ldap-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.authority = Authority()
        self.ca_file = self.write_ca(self.authority)
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def write_ca(self, authority: Authority, name: str = "ca.crt") -> Path:
        """The authority's certificate as a file."""
        path = self.directory / name
        path.write_bytes(authority.certificate_pem())
        return path

    def start_slapd(self, **options: Any) -> Slapd:
        """A directory, running."""
        slapd = Slapd(self.directory / "slapd", self.authority, **options)
        self.addCleanup(slapd.end)
        slapd.start()
        return slapd

    def open_accounts(
        self, base: str, search: str = SEARCH, **options: Any
    ) -> LdapAccounts:
        """Accounts, open, that search for groups with the reader's rights."""
        given: dict[str, Any] = {
            "trust_root_file": self.ca_file,
            "bind_dn": READER,
            "bind_password": lambda: READER_PASSWORD,
            "group_base": GROUPS,
        }
        accounts = LdapAccounts(
            parse_ldap_url(base + search), cast(Any, reactor), **(given | options)
        )
        self.addCleanup(accounts.close)
        accounts.open()
        return accounts

    async def assert_in(
        self, accounts: LdapAccounts, user: str, password: str | None = None
    ) -> Account:
        """The password is right."""
        given = PASSWORDS[user] if password is None else password
        account = await accounts.authenticate(user, given)
        assert account is not None, f"{user} is refused"
        self.assertEqual(account.user, user)
        return account

    async def assert_unavailable(self, accounts: LdapAccounts) -> str:
        """Nobody can be checked; what the log says since the last time."""
        del self.events[:]
        with self.assertRaises(AccountsUnavailable) as caught:
            await accounts.authenticate("alice", PASSWORDS["alice"])
        self.assertIn("passwords cannot be checked now", str(caught.exception))
        return self.logged()

    def logged(self) -> str:
        """What regbroker has logged."""
        own = [
            e for e in self.events if str(e["log_namespace"]).startswith("regbroker")
        ]
        return "\n".join(formatEvent(event) for event in own)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition, not for ever."""
        deadline = time.monotonic() + 10
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"waited in vain for {what}")
            await deferLater(reactor, 0.02)

    def tearDown(self) -> None:
        everything = "\n".join(repr(event) for event in self.events) + self.logged()
        for secret in (*PASSWORDS.values(), READER_PASSWORD, ROOT_PASSWORD):
            self.assertNotIn(secret, everything)


class PasswordTests(SlapdTestCase):
    """Whose password is right."""

    def setUp(self) -> None:
        super().setUp()
        self.slapd = self.start_slapd()

    async def test_right_and_wrong(self) -> None:
        """A right password lets in; wrong ones and unknown users do not."""
        accounts = self.open_accounts(self.slapd.tls_url)
        for user in ("alice", "bob", WEIRD):
            await self.assert_in(accounts, user)
        for user, password in (
            ("alice", "wrong"),
            ("alice", PASSWORDS["bob"]),
            ("bob", "bob's secret"),
            ("nobody", PASSWORDS["alice"]),
            ("nobody", ""),
            ("locked", "anything"),
            ("guest", PASSWORDS["guest"]),
            ("alice", "\udce9"),
            ("alic\udce9", PASSWORDS["alice"]),
            ("alice\0", PASSWORDS["alice"]),
            ("", ""),
            ("", PASSWORDS["alice"]),
        ):
            self.assertIsNone(await accounts.authenticate(user, password), user)
        self.assertEqual(self.logged(), "")

    async def test_empty_password(self) -> None:
        """A directory lets it bind as nobody, so it is not even asked."""
        accounts = self.open_accounts(self.slapd.tls_url)
        before = self.slapd.log()
        self.assertIsNone(await accounts.authenticate("alice", ""))
        self.assertEqual(self.slapd.log(), before)

    async def test_directory_that_takes_empty_passwords(self) -> None:
        """The directory's own leave for them changes nothing."""
        self.slapd.stop()
        shutil.rmtree(self.directory / "slapd")
        slapd = self.start_slapd(security="allow bind_anon_cred bind_anon_dn")
        accounts = self.open_accounts(slapd.tls_url)
        self.assertIsNone(await accounts.authenticate("alice", ""))
        self.assertIsNone(await accounts.authenticate("nobody", ""))
        await self.assert_in(accounts, "alice")

    async def test_injection(self) -> None:
        """What is typed is a value, whatever filters and names make of it."""
        accounts = self.open_accounts(self.slapd.tls_url)
        right = PASSWORDS["alice"]
        for user in (
            "*",
            "a*",
            "alice)(uid=*",
            "*)(uid=*))(|(uid=*",
            "alice)(|(uid=alice",
            "\\61lice",
            "\\2a",
            "alice,ou=people",
            ALICE,
            "${user}",
            "${dn}",
            "%61lice",
            "(uid=alice)",
        ):
            self.assertIsNone(await accounts.authenticate(user, right), user)
            self.assertIsNone(await accounts.look_up(user), user)
        self.assertEqual(self.logged(), "")

    async def test_the_directorys_spelling(self) -> None:
        """Directories do not care for case and blanks; accounts have one name."""
        accounts = self.open_accounts(self.slapd.tls_url)
        for typed in ("ALICE", "Alice", " alice "):
            account = await accounts.authenticate(typed, PASSWORDS["alice"])
            self.assertEqual(account and account.user, "alice", ascii(typed))

    async def test_several_entries(self) -> None:
        """A name that leads to two people leads to nobody."""
        accounts = self.open_accounts(self.slapd.tls_url, f"/{PEOPLE}?mail")
        both = "shared@example.com"
        for user in ("alice", "bob"):
            self.assertIsNone(await accounts.authenticate(both, PASSWORDS[user]))
        self.assertIsNone(await accounts.look_up(both))
        self.assertIn("more than one entry for 'shared@example.com'", self.logged())

    async def test_scopes(self) -> None:
        """Entries count where the URL says."""
        for base, scope, found in (
            (SUFFIX, "sub", True),
            (SUFFIX, "one", False),
            (PEOPLE, "one", True),
            (PEOPLE, "base", False),
            (ALICE, "base", True),
            (BOB, "base", False),
        ):
            search = f"/{base}?uid?{scope}"
            accounts = self.open_accounts(self.slapd.tls_url, search)
            account = await accounts.authenticate("alice", PASSWORDS["alice"])
            self.assertEqual(account is not None, found, search)

    async def test_filters(self) -> None:
        """Every kind of comparison arrives as it was written."""
        for filter, found in (
            ("(sn=liddell)", True),
            ("(!(sn=liddell))", False),
            ("(sn=l*d*l)", True),
            ("(sn=*ell)", True),
            ("(sn=*ello)", False),
            ("(uidNumber>=1001)", True),
            ("(uidNumber<=1000)", False),
            ("(sn~=liddell)", True),
            ("(|(sn=x)(sn=li\\64dell))", True),
            ("(sn:caseExactMatch:=Liddell)", True),
            ("(sn:caseExactMatch:=liddell)", False),
            ("(ou:dn:=people)", True),
            ("(ou:dn:=elsewhere)", False),
            ("(:dn:caseIgnoreMatch:=people)", True),
            ("(&)", True),
            ("(|)", False),
        ):
            search = f"/{PEOPLE}?uid?sub?{filter}"
            accounts = self.open_accounts(self.slapd.tls_url, search)
            self.assertEqual(await accounts.look_up("alice") is not None, found, filter)

    async def test_unknown_users_take_the_same_way(self) -> None:
        """The directory is asked for the same, and bound to, for unknown users."""
        accounts = self.open_accounts(self.slapd.tls_url)
        steps = []
        for user in ("alice", "nobody"):
            before = len(self.slapd.log())
            self.assertIsNone(await accounts.authenticate(user, "wrong"))
            await self.until(
                lambda at=before: "UNBIND" in self.slapd.log()[at:],  # type: ignore[misc]
                "the end of the connection",
            )
            words = self.slapd.log()[before:].split()
            steps.append([w for w in words if w in ("BIND", "SRCH", "err=49")])
        known, unknown = steps
        self.assertEqual(known, unknown)
        self.assertIn("err=49", known)


class AccountTests(SlapdTestCase):
    """What is known of somebody besides the password."""

    async def test_groups(self) -> None:
        """Groups by DN, by user's name, and from the entry itself."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.tls_url)
        for user, groups in (
            ("alice", {"developers", "operators", "everybody"}),
            ("bob", {"everybody"}),
            (WEIRD, {"developers", "operators"}),
        ):
            account = await self.assert_in(accounts, user)
            self.assertEqual(account.groups, groups)
            self.assertEqual(await accounts.look_up(user), account)

    async def test_groups_the_entry_shows(self) -> None:
        """Without a base for groups `memberOf` counts; with one, only below it."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.tls_url, group_base="")
        self.assertEqual((await self.assert_in(accounts, "bob")).groups, {"admins"})
        accounts = self.open_accounts(
            slapd.tls_url,
            group_base=f"OU=Elsewhere, {SUFFIX}",
            group_filter="(memberUid=${user})",
        )
        self.assertEqual((await self.assert_in(accounts, "bob")).groups, {"admins"})
        self.assertEqual((await self.assert_in(accounts, "alice")).groups, set())

    async def test_group_filter(self) -> None:
        """A filter of one's own."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(
            slapd.tls_url,
            group_filter="(&(objectClass=groupOfNames)(member=${dn}))",
        )
        account = await self.assert_in(accounts, WEIRD)
        self.assertEqual(account.groups, {"developers"})

    async def test_many_groups(self) -> None:
        """Some of somebody's groups are not taken for all; others get in."""
        slapd = self.start_slapd(security="sizelimit 2")
        accounts = self.open_accounts(slapd.tls_url)
        log = await self.assert_unavailable(accounts)
        self.assertIn("'alice' is in more groups than the directory tells", log)
        self.assertEqual((await self.assert_in(accounts, "bob")).groups, {"everybody"})

    async def test_password_changes(self) -> None:
        """The old one is refused at once, and only that user's version changes."""
        slapd = self.start_slapd()
        await self.check_password_change(slapd)

    async def test_password_changes_under_a_policy(self) -> None:
        """With a password policy the version is the time of the password."""
        slapd = self.start_slapd(overlay="overlay ppolicy")
        await self.check_password_change(slapd, slow=True)

    async def test_locked(self) -> None:
        """Who an administrator locks is gone; wrong passwords end no token."""
        slapd = self.start_slapd(overlay="overlay ppolicy")
        accounts = self.open_accounts(slapd.tls_url)
        alice = await self.assert_in(accounts, "alice")
        self.lock(slapd, "20261127120000Z")
        self.assertIsNotNone(await accounts.look_up("alice"))
        self.assertEqual(self.logged(), "")
        self.lock(slapd, "000001010000Z")
        self.assertIsNone(await accounts.look_up("alice"))
        self.assertIn("'alice' is refused: pwdAccountLockedTime is", self.logged())
        right = PASSWORDS["alice"]
        self.assertIsNone(await accounts.authenticate("alice", right))
        slapd.change(f"dn: {ALICE}\nchangetype: modify\ndelete: pwdAccountLockedTime\n")
        account = await self.assert_in(accounts, "alice")
        self.assertEqual(account.groups, alice.groups)

    def lock(self, slapd: Slapd, time: str) -> None:
        """Lock alice's account."""
        slapd.change(
            f"dn: {ALICE}\nchangetype: modify\n"
            f"replace: pwdAccountLockedTime\npwdAccountLockedTime: {time}\n"
        )

    async def check_password_change(self, slapd: Slapd, slow: bool = False) -> None:
        accounts = self.open_accounts(slapd.tls_url)
        alice = await self.assert_in(accounts, "alice")
        bob = await self.assert_in(accounts, "bob")
        self.assertRegex(alice.password_version, r"\A[0-9a-f]{16}\Z")
        self.assertNotEqual(alice.password_version, bob.password_version)
        self.assertIsNone(await accounts.authenticate("alice", "wrong"))
        self.assertEqual(await self.assert_in(accounts, "alice"), alice)
        if slow:
            # this time has no parts of a second
            now = int(time.time())
            await self.until(lambda: int(time.time()) > now, "the next second")
        slapd.set_password(ALICE, "another secret of alice")
        self.assertIsNone(await accounts.authenticate("alice", PASSWORDS["alice"]))
        changed = await self.assert_in(accounts, "alice", "another secret of alice")
        self.assertNotEqual(changed.password_version, alice.password_version)
        self.assertEqual(await accounts.look_up("alice"), changed)
        self.assertEqual(await self.assert_in(accounts, "bob"), bob)
        if slow:
            slapd.change(
                f"dn: {ALICE}\nchangetype: modify\nreplace: mail\nmail: a@example.com\n"
            )
            self.assertEqual(await accounts.look_up("alice"), changed)

    async def test_leavers(self) -> None:
        """Who is no longer there, is not found."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.tls_url)
        self.assertIsNotNone(await accounts.look_up("bob"))
        slapd.change(f"dn: {BOB}\nchangetype: delete\n")
        self.assertIsNone(await accounts.look_up("bob"))
        self.assertIsNone(await accounts.authenticate("bob", PASSWORDS["bob"]))


class TlsTests(SlapdTestCase):
    """How passwords travel."""

    async def test_start_tls(self) -> None:
        """`ldap://` begins TLS before anything else is said."""
        slapd = self.start_slapd(security="security tls=1")
        accounts = self.open_accounts(slapd.url)
        await self.assert_in(accounts, "alice")
        self.assertIsNone(await accounts.authenticate("alice", "wrong"))
        steps = [line for line in slapd.log().splitlines() if " op=0 " in line]
        self.assertTrue(any("STARTTLS" in line for line in steps))

    async def test_in_clear(self) -> None:
        """Without TLS only when told so, and then the log says it."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.url, start_tls=False)
        await self.assert_in(accounts, "alice")
        self.assertNotIn("STARTTLS", slapd.log())
        self.assertIn("passwords cross the network in clear", self.logged())

    async def test_directory_that_wants_tls(self) -> None:
        """Its refusal to work in clear is no wrong password."""
        slapd = self.start_slapd(security="security tls=1")
        accounts = self.open_accounts(slapd.url, start_tls=False)
        log = await self.assert_unavailable(accounts)
        self.assertIn("confidentialityRequired", log)

    async def test_other_authority(self) -> None:
        """A certificate of somebody else's is refused before a password is sent."""
        slapd = self.start_slapd()
        other = self.write_ca(Authority("another authority"), "other.crt")
        for url in (slapd.url, slapd.tls_url):
            accounts = self.open_accounts(url, trust_root_file=other)
            log = await self.assert_unavailable(accounts)
            self.assertIn("certificate verify failed", log)
        self.assertNotIn("BIND dn=", self.binds(slapd))

    async def test_system_authorities(self) -> None:
        """Without a file the system's authorities count, which know not this one."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.tls_url, trust_root_file=None)
        log = await self.assert_unavailable(accounts)
        self.assertIn("certificate verify failed", log)

    async def test_other_name(self) -> None:
        """A certificate for another name is refused, too."""
        slapd = self.start_slapd(hosts=("elsewhere.example",))
        for url in (slapd.url, slapd.tls_url):
            accounts = self.open_accounts(url)
            log = await self.assert_unavailable(accounts)
            self.assertIn("is not to be trusted", log)
        self.assertNotIn("BIND dn=", self.binds(slapd))

    async def test_no_name(self) -> None:
        """A certificate that names nobody is nobody's."""
        slapd = self.start_slapd(hosts=())
        for url in (slapd.url, slapd.tls_url):
            accounts = self.open_accounts(url)
            log = await self.assert_unavailable(accounts)
            self.assertIn("is not to be trusted", log)
        self.assertNotIn("BIND dn=", self.binds(slapd))

    def binds(self, slapd: Slapd) -> str:
        """The log without the binds of the test's own root."""
        lines = slapd.log().splitlines()
        return "\n".join(line for line in lines if "cn=root" not in line)


class OutageTests(SlapdTestCase):
    """The directory does not do what it should; that is no wrong password."""

    async def test_stopped_and_started(self) -> None:
        """It is missed, once in the log, and found again without help."""
        slapd = self.start_slapd()
        for url in (slapd.url, slapd.tls_url):
            accounts = self.open_accounts(url)
            alice = await self.assert_in(accounts, "alice")
            slapd.stop()
            self.assertIn(
                "cannot be connected to", await self.assert_unavailable(accounts)
            )
            self.assertEqual(await self.assert_unavailable(accounts), "")
            with self.assertRaises(AccountsUnavailable):
                await accounts.look_up("alice")
            slapd.start()
            self.assertEqual(await self.assert_in(accounts, "alice"), alice)
            self.assertIn("answers again", self.logged())
            del self.events[:]
            await self.assert_in(accounts, "bob")
            self.assertEqual(self.logged(), "")

    async def test_hangs(self) -> None:
        """Somebody takes connections and says nothing."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            for scheme in ("ldap", "ldaps"):
                accounts = self.open_accounts(
                    f"{scheme}://127.0.0.1:{port}", timeout=SHORT
                )
                log = await self.assert_unavailable(accounts)
                self.assertIn("waited 0.5 s in vain for", log)

    async def test_hangs_with_many(self) -> None:
        """Those who wait for a turn wait no longer than those who have one."""
        with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
            port = server.getsockname()[1]
            accounts = self.open_accounts(f"ldap://127.0.0.1:{port}", timeout=SHORT)
            checks = [start(accounts.look_up("alice")) for _ in range(5 * MAX_CHECKS)]
            failures: list[Any] = []
            for check in checks:
                check.addErrback(failures.append)
            await gatherResults(checks)
            self.assertEqual(
                {failure.type for failure in failures}, {AccountsUnavailable}
            )
            self.assertEqual(len(failures), len(checks))
            # The others have given up before it was their turn.
            self.assertEqual(connections_to(server), MAX_CHECKS)
        self.assertEqual(len(self.logged().splitlines()), 1)

    async def test_frozen(self) -> None:
        """It stops in its tracks, and goes on."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.tls_url, timeout=SHORT)
        await self.assert_in(accounts, "alice")
        slapd.freeze()
        log = await self.assert_unavailable(accounts)
        slapd.thaw()
        self.assertIn("waited 0.5 s in vain for", log)
        await self.assert_in(accounts, "alice")

    async def test_own_account(self) -> None:
        """The account that searches has a wrong password, none, and a right one."""
        slapd = self.start_slapd()
        password = "not the reader's"
        accounts = self.open_accounts(slapd.tls_url, bind_password=lambda: password)
        log = await self.assert_unavailable(accounts)
        self.assertIn("the bind of ldap-bind-dn: it answers invalidCredentials", log)
        self.assertNotIn(password, log)
        password = ""
        self.assertEqual(await self.assert_unavailable(accounts), "")
        password = READER_PASSWORD
        await self.assert_in(accounts, "alice")

    async def test_own_accounts_file_is_gone(self) -> None:
        """The password's file cannot be read."""
        slapd = self.start_slapd()
        missing = self.directory / "missing"
        accounts = self.open_accounts(slapd.tls_url, bind_password=missing.read_text)
        log = await self.assert_unavailable(accounts)
        self.assertIn("the password of ldap-bind-dn: No such file or directory", log)

    async def test_anonymous(self) -> None:
        """Without an account it searches as nobody, and sees what that may see."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.tls_url, bind_dn="", group_base="")
        account = await self.assert_in(accounts, "alice")
        self.assertEqual(account.groups, {"developers"})
        accounts = self.open_accounts(slapd.tls_url, bind_dn="")
        log = await self.assert_unavailable(accounts)
        self.assertIn(f"the search below '{GROUPS}': it answers noSuchObject", log)

    async def test_no_such_base(self) -> None:
        """A search at the wrong place finds nobody, which is nobody's fault."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.tls_url, "/ou=nowhere,dc=example,dc=com")
        log = await self.assert_unavailable(accounts)
        self.assertIn("the search below 'ou=nowhere,dc=example,dc=com'", log)

    async def test_many_at_once(self) -> None:
        """More checks than turns all come to their answer."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.tls_url)
        right = [
            start(self.assert_in(accounts, "alice")) for _ in range(3 * MAX_CHECKS)
        ]
        wrong = [
            start(accounts.authenticate("bob", f"wrong {number}"))
            for number in range(3 * MAX_CHECKS)
        ]
        self.assertEqual(len(set(await gatherResults(right))), 1)
        self.assertEqual(set(await gatherResults(wrong)), {None})

    async def test_closed_in_the_middle(self) -> None:
        """What is under way ends; what comes later is told so."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.tls_url)
        slapd.freeze()
        self.addCleanup(slapd.thaw)
        checks = [start(accounts.look_up("alice")) for _ in range(2 * MAX_CHECKS)]
        accounts.close()
        checks.append(start(accounts.look_up("alice")))
        for check in checks:
            with self.assertRaises(AccountsUnavailable):
                await check
        self.assertEqual(self.logged(), "")

    async def test_cancelled(self) -> None:
        """A client that leaves ends its check, and nobody else's."""
        slapd = self.start_slapd()
        accounts = self.open_accounts(slapd.tls_url)
        for _ in range(2 * MAX_CHECKS):
            with capturedLogs() as events:
                check = start(accounts.authenticate("alice", PASSWORDS["alice"]))
                check.addErrback(lambda failure: None)
                check.cancel()
            self.assertEqual(events, [])
        slapd.freeze()
        self.addCleanup(slapd.thaw)
        checks = [start(accounts.look_up("alice")) for _ in range(2 * MAX_CHECKS)]
        await self.until(
            lambda: len(accounts._connections) == MAX_CHECKS, "the connections"
        )
        for check in checks:
            check.cancel()
            check.addErrback(lambda failure: failure.trap(CancelledError))
        slapd.thaw()
        await self.assert_in(accounts, "alice")
        self.assertEqual(self.logged(), "")
