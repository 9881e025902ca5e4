"""Accounts in a file: when its lines count, and what checks cost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase

from regbroker.accounts.htpasswd import (
    MAX_PASSWORD_BYTES,
    MAX_THREADS,
    HtpasswdAccounts,
)
from regbroker.accounts.htpasswd_file import MAX_FILE_BYTES
from regbroker.accounts.principals import Account, AccountSource
from regbroker.errors import AccountsUnavailable
from regbroker.runtime.watched_file import LOOK_INTERVAL, MOST_LOOKS
from tests.accounts.hashes import APR1, BCRYPT, OTHER, SHA512

T = TypeVar("T")


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
            self.path, cast(Any, self.clock), cast(ThreadPool, self.pool)
        )
        self.addCleanup(self.accounts.close)

    def write(self, *lines: str) -> None:
        """Rewrite the file in place."""
        self.write_text("\n".join([*lines, ""]))

    def write_text(self, text: str) -> None:
        """Rewrite the file in place; its time stamp says nothing, as clocks differ."""
        self.path.write_text(text, "utf-8")
        os.utime(self.path, (time.time() + 3600,) * 2)

    def look(self, times: int = 2) -> list[str]:
        """Let time pass for some looks; what is logged."""
        with capturedLogs() as events:
            self.clock.pump([LOOK_INTERVAL] * times)
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
        """The version is the same on every machine, and of this user and hash alone."""
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
        accounts = HtpasswdAccounts(self.path, cast(Any, self.clock))
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
        self.write_text("")
        self.assertEqual(self.look(1), [])
        self.write_text(f"alice:{BCRYPT[:40]}")
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
            [
                "error: NAME: No such file or directory; "
                "what it held before still counts"
            ],
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
                "what it held before still counts"
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
        # Of the file as it is at first, the warnings of the start tell.
        log = self.open(f"alice:{BCRYPT}", "bob:hunter2")
        self.assertEqual(log, ["info: NAME: read; accounts: 1"])
        self.write(f"alice:{BCRYPT}", "", "bob:hunter2")
        self.assertEqual(
            self.look(10),
            ["warn: NAME: read; accounts: 1; line 3: no hash, never matches"],
        )
        self.assertIsNone(self.authenticate("bob", "hunter2"))
        self.assertIsNotNone(self.authenticate("alice", "secret"))

    def test_no_file(self) -> None:
        """A directory, a file too large: unreadable, whatever they hold."""
        self.open(f"alice:{BCRYPT}")
        self.path.unlink()
        self.path.mkdir()
        (line,) = self.look(10)
        self.assertIn("no regular file", line)
        self.path.rmdir()
        self.path.write_bytes(b"\n" * (MAX_FILE_BYTES + 1))
        (line,) = self.look(10)
        self.assertIn(f"larger than {MAX_FILE_BYTES} bytes", line)
        self.assertEqual(self.users("alice"), ["alice"])


class ThreadsTests(TestCase):
    """With real threads."""

    async def test_threads(self) -> None:
        """Hashing happens elsewhere, a few at a time; closing waits for it."""
        from twisted.internet import reactor

        path = Path(self.mktemp())
        path.write_text(f"alice:{BCRYPT}\nbob:{SHA512}\n")
        pool = ThreadPool(0, MAX_THREADS, "htpasswd")
        accounts = HtpasswdAccounts(path, cast(Any, reactor), pool)
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
