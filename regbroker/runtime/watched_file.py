"""
A file that counts again when it changes: keys, passwords, accounts.

One rule for all of them says when a change counts: when the file was not written for
`LOOK_INTERVAL`. So a file that is half written is not read. Its modification time says
that, or, where clocks differ, two looks that have found the same file.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from twisted.logger import Logger

from regbroker.runtime.unreadable import why_unreadable

T = TypeVar("T")

#: Seconds between two looks at a file, so that a change counts within a second. A look
#: costs some microseconds.
LOOK_INTERVAL = 0.5

#: A file that changes with every look, as under a script that adds many users one by
#: one, is read as it is after this many.
MOST_LOOKS = 4

#: A dozen keys; what is longer is some other file.
MAX_BYTES = 64 * 1024

_log = Logger()


class WatchedFile(Generic[T]):
    """
    The contents of a file, parsed, as of a second ago.

    `parse` raises `ValueError` that says what is wrong with the contents, without
    telling any of them. `now` returns seconds. The log calls the file `name`, its path
    by default, and says `without` when there are no contents that count. `tell` logs
    that the file was read; it is told whether this is the first time, for what is odd
    in a file is a warning of the start already. The log says when everybody on the
    machine can change it, and with `is_secret`, when everybody can read it. When the
    file cannot be used any more, what it held before counts, so that a slip of an
    editor locks nobody out.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], T],
        now: Callable[[], float],
        *,
        max_bytes: int = MAX_BYTES,
        name: str = "",
        without: str = "",
        tell: Callable[[T, bool], object] | None = None,
        is_secret: bool = True,
    ) -> None:
        self.path = path
        self._parse = parse
        self._now = now
        self._max_bytes = max_bytes
        self._name = name or str(path)
        self._without = without
        self._tell = tell or self._tell_of_reading
        self._is_secret = is_secret
        self._looked: float | None = None
        #: What the file held when it was last good; None if it never was.
        self.good: T | None = None
        self._problem: str | None = None
        self._warned = False
        # The signatures of the file that was read, and of the one at the last look.
        self._taken: tuple[int, ...] | None = None
        self._seen: tuple[int, ...] | None = None
        self._looks = 0

    def read(self) -> T:
        """Read the file now; raises `ValueError` that names it."""
        self._looked = self._now()
        try:
            return self._read()
        except OSError as error:
            raise ValueError(f"{self.path}: {why_unreadable(error)}") from None
        except ValueError as error:
            # It is looked at again, for the log to say so.
            self._taken = None
            raise ValueError(f"{self.path}: {error}") from None

    def latest(self, *, at_once: bool = False) -> T | None:
        """
        Return what the file held when it was last good; None if it never was.

        The file is looked at when `LOOK_INTERVAL` has passed since the last time. With
        `at_once` it is, and a change counts although somebody may be writing still.
        """
        passed = None if self._looked is None else self._now() - self._looked
        if at_once or passed is None or not 0 <= passed < LOOK_INTERVAL:
            self.look(at_once=at_once or passed is None)
        return self.good

    def look(self, *, at_once: bool = False) -> None:
        """Look at the file now; what is wrong with it is logged, once."""
        self._looked = self._now()
        signature = _signature(self.path)
        if signature is not None and signature == self._taken:
            self._looks = 0
            return
        self._looks += 1
        is_left_alone = signature == self._seen or _is_old(signature)
        self._seen = signature
        if at_once or is_left_alone or self._looks >= MOST_LOOKS:
            self._looks = 0
            self._take()

    def _take(self) -> None:
        is_first = self.good is None
        try:
            contents = self._read()
        except OSError as error:
            self._note(why_unreadable(error))
        except ValueError as error:
            # Reading it again would only say the same.
            self._taken = self._seen
            self._note(str(error))
        else:
            self._problem = None
            self._tell(contents, is_first)

    def _read(self) -> T:
        self._taken = None
        contents, status = read_file(self.path, self._max_bytes)
        # As it was before it was read: what changed meanwhile is seen later.
        self._taken = _signature_of(status)
        self.good = self._parse(contents)
        self._warn(status.st_mode)
        return self.good

    def _note(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        kept = "what it held before still counts"
        what = self._without if self.good is None else kept
        _log.error(
            "{name}: {problem}{what}",
            name=self._name,
            problem=problem,
            what=f"; {what}" if what else "",
        )

    def _tell_of_reading(self, _: T, __: bool) -> None:
        _log.info("{name}: read", name=self._name)

    def _warn(self, mode: int) -> None:
        problem = too_many_rights(mode, self._is_secret)
        if problem and not self._warned:
            self._warned = True
            _log.warn("{path}: {problem}", path=str(self.path), problem=problem)


def too_many_rights(mode: int, is_secret: bool) -> str:
    """Say what is wrong with the rights of a file; empty for nothing."""
    # Groups are how users of one machine share a secret on purpose.
    if not mode & (stat.S_IRWXO if is_secret else stat.S_IWOTH):
        return ""
    what, rights = ("use", "o=") if is_secret else ("change", "o-w")
    return (
        f"every user of this machine can {what} it; take that right away "
        f"(chmod {rights})"
    )


def parse_file(
    path: Path, parse: Callable[[bytes], T], *, max_bytes: int = MAX_BYTES
) -> T:
    """
    Return the contents of a file, parsed, and log nothing; nobody watches it.

    Raises `ValueError` that names the file.
    """
    try:
        return parse(read_file(path, max_bytes)[0])
    except OSError as error:
        raise ValueError(f"{path}: {why_unreadable(error)}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_file(path: Path, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """
    Return what a file holds, and its status before it was read.

    Raises `OSError`, and `ValueError` for what is no regular file, or too large.
    """
    # Without O_NONBLOCK, to open a pipe is to wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            contents = file.read(max_bytes + 1)
    finally:
        os.close(descriptor)
    if len(contents) > max_bytes:
        raise ValueError(f"larger than {max_bytes} bytes")
    return contents, status


def _signature(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file does, its rights included; None without one."""
    try:
        return _signature_of(os.stat(path))
    except OSError:
        return None


def _signature_of(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_dev,
        status.st_ino,
        status.st_size,
    )


def _is_old(signature: tuple[int, ...] | None) -> bool:
    """Tell whether the modification time says that the file was left alone."""
    return signature is not None and (time.time() - signature[0] / 1e9 >= LOOK_INTERVAL)
