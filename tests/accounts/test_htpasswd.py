"""Accounts in a file: what its lines say, when they count, and what checks cost."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Coroutine, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase

from regbroker.accounts.htpasswd import (
    LOOK_SECONDS,
    MAX_FILE_BYTES,
    MAX_PASSWORD_BYTES,
    MAX_THREADS,
    MOST_LOOKS,
    Contents,
    HtpasswdAccounts,
    StoredHash,
    parse,
)
from regbroker.accounts.principals import Account, AccountSource
from regbroker.errors import AccountsUnavailable

T = TypeVar("T")

BCRYPT = "$2y$05$cUntG5m5RoIuxL2wswIsAu97ckbxYhxRFEwnRtCnw2EuPkg3/1fNO"
APR1 = "$apr1$KYTQvIAN$a.c9NQOV91NsPleuLYq.E1"
SHA1 = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
CRYPT = "JwR84T0Vk9MKo"
SHA256 = "$5$0WG5styBzEtgJblK$Wf5tgYPs6HWOJpzU3RDp2KlANNsOEVFC12Yg1VyNNDA"
SHA512 = (
    "$6$Y/YkLdL/KEzd0ubu$KkX/75IQRlFqSrxqN8xwypxYrwaFHCgxC/J2qOrtb7RCBYomza4Bvf4L"
    "suASxiVS/ucZgEKESumeJo2XJCPMV1"
)
MD5 = "$1$ab$dslkcXxVH.x8LwW1W/oAB/"
"""All of `secret`."""

OTHER = "$2y$04$5BJqKfqMQvV7nS.yUguNcueVirQqDBGaLXSqj.rs.pZPlNR0UX/HK"
"""Of `test`."""

HASHES = [BCRYPT, APR1, SHA1, CRYPT, SHA256, SHA512, MD5, OTHER]


class ParseTests(SynchronousTestCase):
    """What a file says."""

    def test_byte_order_mark(self) -> None:
        """What editors write before the first line is no part of a name."""
        contents = parse(BOM_UTF8 + f"alice:{BCRYPT}\nbob:{SHA1}\n".encode())
        self.assertEqual(set(contents.hashes), {"alice", "bob"})

    def test_every_kind(self) -> None:
        """What htpasswd and crypt(3) write matches its password and no other."""
        for text in HASHES[:-1]:
            contents = parse(f"alice:{text}\n".encode())
            stored = contents.hashes["alice"]
            self.assertTrue(contents.check(stored, b"secret"), text)
            self.assertFalse(contents.check(stored, b"secreT"), text)
            self.assertFalse(contents.check(stored, b""), text)
            self.assertFalse(contents.check(None, b"secret"), text)

    def test_kinds(self) -> None:
        """A kind is a scheme and its rounds: what a check costs."""
        kinds = [cast(StoredHash, StoredHash.parse(text)).kind for text in HASHES]
        self.assertEqual(
            kinds,
            [
                "bcrypt 5",
                "apr_md5_crypt",
                "ldap_sha1",
                "des_crypt",
                "sha256_crypt 5000",
                "sha512_crypt 5000",
                "md5_crypt",
                "bcrypt 4",
            ],
        )

    def test_lines(self) -> None:
        """Comments, blank lines, white space, CR LF, a third field as in nginx."""
        contents = parse(
            f"# staff\r\n\r\n  alice:{BCRYPT}:on holiday: again\r\n"
            f"\tbärbel:{APR1}  \n #bob:{SHA1}\ncarol:{SHA1}".encode()
        )
        self.assertEqual(list(contents.hashes), ["alice", "bärbel", "carol"])
        self.assertEqual(contents.hashes["alice"].text, BCRYPT)
        self.assertEqual(contents.hashes["bärbel"].text, APR1)
        self.assertEqual(parse(b""), Contents())

    def test_first_line_counts(self) -> None:
        """Of a user's lines the first, be it one that never matches."""
        contents = parse(f"a:{BCRYPT}\na:{APR1}\nb:!\nb:{APR1}".encode())
        self.assertEqual(contents.hashes["a"].text, BCRYPT)
        self.assertEqual(list(contents.hashes), ["a"])

    def test_no_hash(self) -> None:
        """Plain text, locked users and foreign schemes never match, and are told."""
        contents = parse(
            f"a:secret\nb:\nc:!{BCRYPT}\nd:{{PLAIN}}secret\n"
            f"e:$y$j9T$x$y\nf:gehörtsich\ng:{BCRYPT}\n".encode()
        )
        self.assertEqual(contents.refused, (1, 2, 3, 4, 5, 6))
        self.assertEqual(list(contents.hashes), ["g"])

    def test_plain_text_that_looks_like_crypt(self) -> None:
        """13 letters may be a hash, and are taken as one."""
        contents = parse(b"alice:wonderland123")
        stored = contents.hashes["alice"]
        self.assertFalse(contents.check(stored, b"wonderland123"))

    def test_damaged(self) -> None:
        """Damaged lines are told by their numbers, and by nothing else."""
        for line in (
            b"alice",
            f":{BCRYPT}".encode(),
            b"b\xe4rbel:" + BCRYPT.encode(),
            f"alice:{BCRYPT[:-1]}".encode(),
            f"alice:{BCRYPT[:29]}".encode(),
            f"alice:{BCRYPT.replace('05', '99')}".encode(),
            f"alice:{APR1[:-5]}".encode(),
            f"alice:{SHA512[:-5]}".encode(),
            b"alice:$6$salt",
        ):
            with self.assertRaises(ValueError) as caught:
                parse(b"\n".join([f"a:{BCRYPT}".encode(), line, b"", line]))
            self.assertEqual(str(caught.exception), "lines 2, 4 cannot be understood")
        with self.assertRaises(ValueError) as caught:
            parse(b"x\n" * 11)
        self.assertIn("9, 10, ... cannot", str(caught.exception))

    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=40),
                st.builds(
                    lambda text, at, new: f"u:{text[:at]}".encode() + new,
                    st.sampled_from(HASHES),
                    st.integers(0, 60),
                    st.binary(max_size=3),
                ),
            ),
            max_size=4,
        ).map(b"\n".join)
    )
    def test_anything(self, data: bytes) -> None:
        """Whatever the bytes, there are contents or an error that tells none."""
        try:
            contents = parse(data)
        except ValueError as error:
            self.assertRegex(str(error), r"^lines? \d+(, \d+)* cannot be understood$")
        else:
            for stored in contents.hashes.values():
                contents.check(stored, b"x")

    def test_hashes_are_not_shown(self) -> None:
        """What might end in a log shows no hash."""
        shown = repr(parse(f"alice:{BCRYPT}".encode()))
        self.assertIn("bcrypt 5", shown)
        self.assertNotIn(BCRYPT[8:], shown)

    def test_long_passwords(self) -> None:
        """bcrypt sees 72 bytes, as in htpasswd; crypt sees 8; others see all."""
        long = b"x" * 72
        stored = StoredHash.parse(
            "$2y$04$idsdu.800Mun7ZwzMqN2XuzPSPbYBRbuvTG1jQ5X2NEMaJ9eHbkce"
        )
        assert stored is not None
        self.assertTrue(stored.matches(long))
        self.assertTrue(stored.matches(long + b"y" * 1000))
        self.assertFalse(stored.matches(long[1:]))
        crypt = StoredHash.parse(CRYPT)
        assert crypt is not None
        self.assertFalse(crypt.matches(b"secret" + long))


class Counted:
    """A stored hash that counts its checks."""

    def __init__(self, kind: str, right: bool = False) -> None:
        self.kind = kind
        self.right = right
        self.checks = 0

    def matches(self, password: bytes) -> bool:
        self.checks += 1
        return self.right


class CostTests(SynchronousTestCase):
    """Time does not tell who is in the file."""

    def checks(self, stored: Counted | None) -> dict[str, int]:
        """How many hashes of each kind a check makes."""
        specimens = [Counted("bcrypt 5"), Counted("bcrypt 12"), Counted("ldap_sha1")]
        contents = Contents({}, cast("tuple[StoredHash, ...]", tuple(specimens)))
        contents.check(cast("StoredHash | None", stored), b"wrong")
        counts = {specimen.kind: specimen.checks for specimen in specimens}
        if stored is not None:
            counts[stored.kind] += stored.checks
        return counts

    def test_no_costs_the_same(self) -> None:
        """One hash of each kind, for unknown users and for wrong passwords."""
        unknown = self.checks(None)
        self.assertEqual(unknown, {"bcrypt 5": 1, "bcrypt 12": 1, "ldap_sha1": 1})
        for kind in unknown:
            self.assertEqual(self.checks(Counted(kind)), unknown)

    def test_yes_costs_one(self) -> None:
        """The right password costs its own hash."""
        checks = self.checks(Counted("ldap_sha1", right=True))
        self.assertEqual(checks, {"bcrypt 5": 0, "bcrypt 12": 0, "ldap_sha1": 1})

    def test_specimens(self) -> None:
        """A file has one specimen for each kind."""
        contents = parse("".join(f"u{n}:{h}\n" for n, h in enumerate(HASHES)).encode())
        again = parse("".join(f"u{n}:{BCRYPT}\n" for n in range(9)).encode())
        self.assertEqual(len(contents.specimens), len(HASHES))
        self.assertEqual([one.kind for one in again.specimens], ["bcrypt 5"])


class ReactorClock(Clock):
    """Time, and calls from threads, made at once."""

    def callFromThread(
        self, function: Callable[..., object], *args: object, **named: object
    ) -> None:
        function(*args, **named)


class HeldPool:
    """A pool whose work is done when the test says so."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []
        self.running = False

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        """As the real one: what waits is still done."""
        self.running = False
        self.release()

    def callInThreadWithCallback(
        self,
        on_result: Callable[[bool, object], object],
        function: Callable[..., object],
        *args: object,
    ) -> None:
        def work() -> None:
            try:
                result = function(*args)
            except Exception:
                on_result(False, Failure())
            else:
                on_result(True, result)

        self.work.append(work)

    def release(self) -> None:
        """Do what waits."""
        work, self.work = self.work, []
        for one in work:
            one()


def told(events: Sequence[LogEvent], accounts: HtpasswdAccounts) -> list[str]:
    """What is logged, each behind its level and with NAME for the source's name."""
    return [
        f"{event['log_level'].name}: {formatEvent(event)}".replace(
            accounts.name, "NAME"
        )
        for event in events
    ]


class AccountsTestCase(SynchronousTestCase):
    """A file of accounts, a clock and a pool in the test's hands."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.clock = ReactorClock()
        self.pool = HeldPool()
        self.accounts = HtpasswdAccounts(
            self.path, self.clock, cast(ThreadPool, self.pool)
        )
        self.addCleanup(self.accounts.close)

    def write(self, *lines: str) -> None:
        """Rewrite the file in place."""
        self.path.write_text("\n".join([*lines, ""]), "utf-8")

    def look(self, times: int = 2) -> list[str]:
        """Let time pass for some looks; what is logged."""
        with capturedLogs() as events:
            self.clock.pump([LOOK_SECONDS] * times)
        return told(events, self.accounts)

    def users(self, *names: str) -> list[str]:
        """Which of these there are."""
        return [name for name in names if self.accounts.current_password_version(name)]

    def start(self, user: str, password: str) -> Deferred[Account | None]:
        """Begin to check a password."""
        return Deferred.fromCoroutine(self.accounts.authenticate(user, password))

    def authenticate(self, user: str, password: str) -> Account | None:
        """Check a password."""
        deferred = self.start(user, password)
        self.pool.release()
        return self.successResultOf(deferred)

    def result(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns that has nothing to wait for."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))


class AuthenticateTests(AccountsTestCase):
    """Who somebody is."""

    def setUp(self) -> None:
        super().setUp()
        self.write(f"alice:{BCRYPT}", f"bärbel:{APR1}")
        self.accounts.open()

    def test_source(self) -> None:
        """It is a source of accounts: without groups, and with all users in memory."""
        source: AccountSource = self.accounts
        self.assertEqual(source.name, f"htpasswd {self.path}")
        self.assertFalse(source.has_groups)
        self.assertTrue(source.cheap_look_up)

    def test_right(self) -> None:
        """The right password gives the account."""
        for user in ("alice", "bärbel"):
            account = self.authenticate(user, "secret")
            assert account is not None
            self.assertEqual((account.user, account.groups), (user, frozenset()))
            self.assertEqual(account, self.result(self.accounts.look_up(user)))

    def test_wrong(self) -> None:
        """Wrong passwords and unknown users give none, after the same work."""
        for user, password in (
            *(("alice", "wrong"), ("alice", ""), ("nobody", "secret")),
            *(("Alice", "secret"), ("", "secret"), ("bärbel", "secret\udc80")),
            *(("\udc80", "secret"), ("alice", "x" * MAX_PASSWORD_BYTES)),
        ):
            deferred = self.start(user, password)
            self.assertEqual(len(self.pool.work), 1, user)
            self.pool.release()
            self.assertIsNone(self.successResultOf(deferred), user)

    def test_hopeless(self) -> None:
        """NUL bytes and endless passwords are wrong at once, whoever asks."""
        for user in ("alice", "nobody"):
            for password in ("secret\0", "\0", "ä" * (MAX_PASSWORD_BYTES // 2 + 1)):
                self.assertIsNone(self.successResultOf(self.start(user, password)))
        self.assertEqual(self.pool.work, [])

    def test_look_up(self) -> None:
        """Users are found without a password, and without a thread."""
        self.assertIsNone(self.result(self.accounts.look_up("nobody")))
        account = self.result(self.accounts.look_up("alice"))
        assert account is not None
        self.assertEqual(
            account.password_version, self.accounts.current_password_version("alice")
        )

    def test_stamp(self) -> None:
        """The stamp is the same on every machine, and of this user and hash alone."""
        line = f"alice:{BCRYPT}".encode()
        expected = sha256(b"regbroker stamp\0" + line).hexdigest()[:32]
        self.assertEqual(self.accounts.current_password_version("alice"), expected)
        self.assertIsNone(self.accounts.current_password_version("nobody"))
        self.write(f"alice:{OTHER}", f"bärbel:{OTHER}")
        self.look()
        password_versions = {
            self.accounts.current_password_version(user) for user in ("alice", "bärbel")
        }
        self.assertEqual(len(password_versions | {expected}), 3)

    def test_changed_meanwhile(self) -> None:
        """A password that was right for a hash that is gone is wrong."""
        for after in ([f"alice:{OTHER}"], [f"bärbel:{APR1}"], ["alice:!"]):
            self.write(f"alice:{BCRYPT}")
            self.look()
            deferred = self.start("alice", "secret")
            self.write(*after)
            self.look()
            self.pool.release()
            self.assertIsNone(self.successResultOf(deferred), after)

    def test_others_changed_meanwhile(self) -> None:
        """What happens to other users does not matter."""
        deferred = self.start("alice", "secret")
        self.write(f"bärbel:{OTHER}", f"alice:{BCRYPT}")
        self.look()
        self.pool.release()
        account = self.successResultOf(deferred)
        assert account is not None
        self.assertEqual(account.user, "alice")

    def test_closed(self) -> None:
        """Nothing more is checked, what waits is not hashed, and no timer is left."""
        waiting = self.start("alice", "secret")
        self.accounts.close()
        self.failureResultOf(waiting, AccountsUnavailable)
        self.failureResultOf(self.start("alice", "secret"), AccountsUnavailable)
        self.assertFalse(self.pool.running)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.accounts.close()

    def test_not_open(self) -> None:
        """Before it is open nothing can be told."""
        accounts = HtpasswdAccounts(self.path, self.clock)
        coroutine = accounts.authenticate("alice", "secret")
        self.failureResultOf(Deferred.fromCoroutine(coroutine), AccountsUnavailable)
        accounts.close()


class ChangeTests(AccountsTestCase):
    """When a file counts."""

    def open(self, *lines: str) -> list[str]:
        """Open with a file of these lines; what is logged."""
        self.write(*lines)
        with capturedLogs() as events:
            self.accounts.open()
        return told(events, self.accounts)

    def test_unchanged(self) -> None:
        """It is read at once when opened, and then left alone."""
        log = self.open(f"alice:{BCRYPT}")
        self.assertEqual(log, ["info: NAME: read; accounts: 1"])
        self.assertEqual(self.users("alice"), ["alice"])
        self.assertEqual(self.look(10), [])

    def test_rewritten(self) -> None:
        """A file rewritten in place counts within a second."""
        self.open(f"alice:{BCRYPT}")
        self.write(f"bob:{BCRYPT}", f"carol:{BCRYPT}")
        self.assertEqual(self.look(1), [])
        self.assertEqual(self.look(1), ["info: NAME: read; accounts: 2"])
        self.assertEqual(self.users("alice", "bob", "carol"), ["bob", "carol"])

    def test_replaced(self) -> None:
        """A file moved to its place counts, also one of the same size."""
        self.open(f"alice:{BCRYPT}")
        new = self.path.with_suffix(".new")
        new.write_text(f"carol:{BCRYPT}\n")
        new.replace(self.path)
        self.look()
        self.assertEqual(self.users("alice", "carol"), ["carol"])

    def test_half_written(self) -> None:
        """A file that is being written is not read until it stays as it is."""
        self.open(f"alice:{BCRYPT}", f"bob:{BCRYPT}")
        self.path.write_text("")
        self.assertEqual(self.look(1), [])
        self.path.write_text(f"alice:{BCRYPT[:40]}")
        self.assertEqual(self.look(1), [])
        self.write(f"alice:{BCRYPT}", f"bob:{OTHER}", f"carol:{BCRYPT}")
        self.assertEqual(self.users("alice", "bob", "carol"), ["alice", "bob"])
        self.assertEqual(self.look(), ["info: NAME: read; accounts: 3"])

    def test_always_changing(self) -> None:
        """A file that never stays as it is counts all the same."""
        self.open(f"alice:{BCRYPT}")
        lines = [f"u{number}:{BCRYPT}" for number in range(2 * MOST_LOOKS)]
        read = []
        for number in range(len(lines)):
            self.write(*lines[: number + 1])
            read += self.look(1)
        self.assertEqual(
            read,
            [
                f"info: NAME: read; accounts: {MOST_LOOKS}",
                f"info: NAME: read; accounts: {2 * MOST_LOOKS}",
            ],
        )

    def test_missing_at_first(self) -> None:
        """Nobody can log in until the file appears; said once each."""
        with capturedLogs() as events:
            self.accounts.open()
        self.assertEqual(
            told(events, self.accounts),
            ["error: NAME: No such file or directory; nobody can log in"],
        )
        self.assertEqual(self.look(10), [])
        self.assertIsNone(self.authenticate("alice", "secret"))
        self.write(f"alice:{BCRYPT}")
        self.assertEqual(self.look(), ["info: NAME: read; accounts: 1"])
        self.assertIsNotNone(self.authenticate("alice", "secret"))

    def test_gone_and_back(self) -> None:
        """What a lost file said stays good; loss and return are told once."""
        self.open(f"alice:{BCRYPT}")
        away = self.path.with_suffix(".away")
        self.path.rename(away)
        self.assertEqual(
            self.look(10),
            ["error: NAME: No such file or directory; what it said before stays good"],
        )
        self.assertEqual(self.users("alice"), ["alice"])
        away.rename(self.path)
        self.assertEqual(self.look(10), ["info: NAME: read; accounts: 1"])

    def test_gone_for_a_moment(self) -> None:
        """An editor that removes the file before it writes anew goes unnoticed."""
        self.open(f"alice:{BCRYPT}")
        self.path.unlink()
        self.assertEqual(self.look(1), [])
        self.write(f"bob:{BCRYPT}")
        self.assertEqual(self.look(), ["info: NAME: read; accounts: 1"])
        self.assertEqual(self.users("alice", "bob"), ["bob"])

    def test_damaged(self) -> None:
        """What a damaged file said stays good; the log has numbers and no hash."""
        self.open(f"alice:{BCRYPT}")
        self.write(f"bob:{BCRYPT}", "", f"carol:{BCRYPT[:-1]}")
        self.assertEqual(
            self.look(10),
            [
                "error: NAME: line 3 cannot be understood; "
                "what it said before stays good"
            ],
        )
        self.assertEqual(self.users("alice", "bob"), ["alice"])
        self.write(f"bob:{BCRYPT}", f"carol:{BCRYPT[:-1]}", f"alice:{BCRYPT}")
        (line,) = self.look(10)
        self.assertIn("line 2 cannot be understood", line)
        self.write(f"bob:{BCRYPT}")
        self.assertEqual(self.look(10), ["info: NAME: read; accounts: 1"])
        self.assertEqual(self.users("alice", "bob"), ["bob"])

    def test_no_hash(self) -> None:
        """Lines without a hash are told by number; the others count."""
        log = self.open(f"alice:{BCRYPT}", "bob:hunter2")
        self.assertEqual(
            log, ["warn: NAME: read; accounts: 1; line 2: no hash, never matches"]
        )
        self.assertIsNone(self.authenticate("bob", "hunter2"))
        self.assertIsNotNone(self.authenticate("alice", "secret"))

    def test_no_file(self) -> None:
        """A directory, a file too large: unreadable, whatever they hold."""
        self.open(f"alice:{BCRYPT}")
        self.path.unlink()
        self.path.mkdir()
        (line,) = self.look(10)
        self.assertIn("it is no regular file", line)
        self.path.rmdir()
        self.path.write_bytes(b"\n" * (MAX_FILE_BYTES + 1))
        (line,) = self.look(10)
        self.assertIn(f"it has more than {MAX_FILE_BYTES} bytes", line)
        self.assertEqual(self.users("alice"), ["alice"])


class ThreadsTests(TestCase):
    """With real threads."""

    async def test_threads(self) -> None:
        """Hashing happens elsewhere, a few at a time; closing waits for it."""
        from twisted.internet import reactor

        path = Path(self.mktemp())
        path.write_text(f"alice:{BCRYPT}\nbob:{SHA512}\n")
        pool = ThreadPool(0, MAX_THREADS, "htpasswd")
        accounts = HtpasswdAccounts(path, reactor, pool)
        accounts.open()
        self.addCleanup(accounts.close)
        checks = [
            Deferred.fromCoroutine(accounts.authenticate(user, password))
            for user in ("alice", "bob", "carol")
            for password in ("secret", "wrong") * 4
        ]
        found = [await check for check in checks]
        self.assertEqual(
            [account.user for account in found if account],
            ["alice"] * 4 + ["bob"] * 4,
        )
        threads = pool.threads[:]
        self.assertIn(len(threads), range(1, MAX_THREADS + 1))
        accounts.close()
        self.assertFalse([thread for thread in threads if thread.is_alive()])
