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
    MAX_FILE_BYTES,
    Contents,
    StoredHash,
    get_ready,
    parse,
)
from regbroker.accounts.line_numbers import lines
from regbroker.accounts.principals import Account
from regbroker.errors import AccountsUnavailable
from regbroker.runtime.reactor import INetworkReactor
from regbroker.runtime.watched_file import LOOK_INTERVAL, WatchedFile

_log = Logger()

#: `htpasswd` itself takes 255. What is longer is wrong, and costs nothing.
MAX_PASSWORD_BYTES = 1024

#: Hashing is what wrong passwords cost; it is not to take the whole machine.
MAX_THREADS = 4


class HtpasswdAccounts:
    """
    The accounts of one file, an `AccountSource`.

    `reactor` gives time and takes calls from threads; `pool` is started and
    stopped here. The file is looked at every `LOOK_INTERVAL`.
    """

    has_groups = False
    cheap_look_up = True

    def __init__(
        self, path: Path, reactor: INetworkReactor, pool: ThreadPool | None = None
    ) -> None:
        self.name = f"htpasswd {path}"
        self._reactor = reactor
        self._pool = pool or ThreadPool(0, MAX_THREADS, "htpasswd")
        # Hashes are no secret as passwords are: web servers read them, too.
        self._file = WatchedFile(
            path,
            parse,
            reactor.seconds,
            max_bytes=MAX_FILE_BYTES,
            name=self.name,
            without="nobody can log in",
            tell=self._tell,
            is_secret=False,
        )
        self._nobody = Contents()
        self._is_open = False
        self._timer: IDelayedCall | None = None

    def open(self) -> None:
        """Read the file, and begin to look for changes."""
        get_ready()
        self._is_open = True
        self._pool.start()
        self._file.look(at_once=True)
        self._timer = self._reactor.callLater(LOOK_INTERVAL, self._look)

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
        """Return the version of the user's password now: the same where the file is."""
        stored = self._contents.hashes.get(user)
        if stored is None:
            return None
        line = f"{user}:{stored.text}".encode()
        # Identity tokens that are out carry hashes with this prefix.
        return sha256(b"regbroker stamp\0" + line).hexdigest()[:32]

    @property
    def _contents(self) -> Contents:
        return self._file.good or self._nobody

    def _check(
        self, contents: Contents, stored: StoredHash | None, password: bytes
    ) -> bool:
        return self._is_open and contents.check(stored, password)

    def _check_open(self) -> None:
        if not self._is_open:
            raise AccountsUnavailable("passwords cannot be checked now")

    def _look(self) -> None:
        self._timer = self._reactor.callLater(LOOK_INTERVAL, self._look)
        self._file.look()

    def _tell(self, contents: Contents, is_first: bool) -> None:
        is_odd = bool(contents.refused) and not is_first
        but = lines(contents.refused_lines) + ": no hash, never matches"
        (_log.warn if is_odd else _log.info)(
            "{name}: read; accounts: {count}{but}",
            name=self.name,
            count=len(contents.hashes),
            but=f"; {but}" if is_odd else "",
        )
