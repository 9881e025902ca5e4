"""
Accounts in a file that `htpasswd` writes, as Apache and nginx read it.

`regbroker.accounts.htpasswd_file` knows its lines; here are the file, which may change
at any time, and the threads, since hashing is meant to take long.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from regbroker.accounts.htpasswd_file import (
    Contents,
    StoredHash,
    get_ready,
    lines,
    parse,
    read,
)
from regbroker.accounts.principals import Account
from regbroker.errors import AccountsUnavailable
from regbroker.runtime.reactor import INetworkReactor

_log = Logger()

#: A changed file is read when two looks in a row have found it the same: then
#: nobody is in the middle of writing it. So a change counts within a second.
LOOK_SECONDS = 0.5

#: A file that changes with every look, as under a script that adds many users
#: one by one, is read as it is after this many.
MOST_LOOKS = 4

#: `htpasswd` itself takes 255. What is longer is wrong, and costs nothing.
MAX_PASSWORD_BYTES = 1024

#: Hashing is what wrong passwords cost; it is not to take the whole machine.
MAX_THREADS = 4


def _signature(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file does, its rights included; None without one."""
    try:
        now = path.stat()
    except OSError:
        return None
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


class HtpasswdAccounts:
    """
    The accounts of one file, an `AccountSource`.

    `reactor` gives time and takes calls from threads; `pool` is started and
    stopped here. When the file cannot be read or understood, what it said before
    stays good, so that a slip of the editor locks nobody out.
    """

    has_groups = False
    cheap_look_up = True

    def __init__(
        self, path: Path, reactor: INetworkReactor, pool: ThreadPool | None = None
    ) -> None:
        self.name = f"htpasswd {path}"
        self._path = path
        self._reactor = reactor
        self._pool = pool or ThreadPool(0, MAX_THREADS, "htpasswd")
        self._contents = Contents()
        self._meanwhile = "nobody can log in"
        self._is_open = False
        self._timer: IDelayedCall | None = None
        self._problem = ""
        # The signatures of the file that was read and of the last look's.
        self._taken: tuple[int, ...] | None = None
        self._seen: tuple[int, ...] | None = None
        self._looks = 0

    def open(self) -> None:
        """Read the file, and begin to look for changes."""
        get_ready()
        self._is_open = True
        self._pool.start()
        self._seen = _signature(self._path)
        self._take(self._seen)
        self._timer = self._reactor.callLater(LOOK_SECONDS, self._look)

    def close(self) -> None:
        """End; waits for the hashes in the making, and skips those not begun."""
        if self._timer is None:
            return
        self._is_open = False
        self._timer.cancel()
        self._timer = None
        self._pool.stop()

    async def authenticate(self, user: str, password: str) -> Account | None:
        """Return the account when the password is right."""
        self._check_open()
        secret = password.encode("utf-8", "surrogatepass")
        if b"\0" in secret or len(secret) > MAX_PASSWORD_BYTES:
            return None
        contents = self._contents
        stored = contents.hashes.get(user)
        right = await deferToThreadPool(
            self._reactor, self._pool, self._check, contents, stored, secret
        )
        self._check_open()
        # The file may have changed in the meantime.
        if not right or self._contents.hashes.get(user) != stored:
            return None
        return await self.look_up(user)

    async def look_up(self, user: str) -> Account | None:
        """Return the account; costs no more than `current_password_version`."""
        password_version = self.current_password_version(user)
        return (
            None
            if password_version is None
            else Account(user, password_version=password_version)
        )

    def current_password_version(self, user: str) -> str | None:
        """Return the stamp of the user's hash now: the same where the file is."""
        stored = self._contents.hashes.get(user)
        if stored is None:
            return None
        line = f"{user}:{stored.text}".encode()
        return sha256(b"regbroker stamp\0" + line).hexdigest()[:32]

    def _check(
        self, contents: Contents, stored: StoredHash | None, password: bytes
    ) -> bool:
        return self._is_open and contents.check(stored, password)

    def _check_open(self) -> None:
        if not self._is_open:
            raise AccountsUnavailable("passwords cannot be checked now")

    def _look(self) -> None:
        self._timer = self._reactor.callLater(LOOK_SECONDS, self._look)
        signature = _signature(self._path)
        if signature is not None and signature == self._taken:
            self._looks = 0
            return
        self._looks += 1
        if signature != self._seen and self._looks < MOST_LOOKS:
            self._seen = signature
            return
        self._looks = 0
        self._take(signature)

    def _take(self, signature: tuple[int, ...] | None) -> None:
        # What changes from now on has another signature.
        self._taken = signature
        try:
            contents = parse(read(self._path))
        except OSError as error:
            self._taken = None
            self._note(error.strerror or type(error).__name__)
        except ValueError as error:
            self._note(str(error))
        else:
            self._contents, self._problem = contents, ""
            self._meanwhile = "what it said before stays good"
            but = lines(contents.refused_lines) + ": no hash, never matches"
            (_log.warn if contents.refused else _log.info)(
                "{name}: read; accounts: {count}{but}",
                name=self.name,
                count=len(contents.hashes),
                but=f"; {but}" if contents.refused else "",
            )

    def _note(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        what = f"{problem}; {self._meanwhile}"
        _log.error("{name}: {what}", name=self.name, what=what)
