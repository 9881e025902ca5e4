"""A small file that counts again when it changes: keys and passwords."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from twisted.logger import Logger

T = TypeVar("T")

#: Seconds between two looks at a file. A look costs some microseconds.
LOOK_INTERVAL = 1.0

#: A dozen keys; what is longer is some other file.
MAX_BYTES = 64 * 1024

_log = Logger()


class WatchedFile(Generic[T]):
    """
    The contents of a file of secrets, parsed, as of a second ago.

    `parse` raises `ValueError` that says what is wrong with the contents,
    without telling any of them. `now` returns seconds.
    """

    def __init__(
        self, path: Path, parse: Callable[[bytes], T], now: Callable[[], float]
    ) -> None:
        self.path = path
        self._parse = parse
        self._now = now
        self._looked: float | None = None
        self._seen: tuple[int, ...] | None = None
        self._good: T | None = None
        self._problem: str | None = None
        self._warned = False

    def read(self) -> T:
        """Read the file now; raises `ValueError` that names it."""
        self._looked = self._now()
        try:
            # Without O_NONBLOCK, to open a pipe is to wait for its writer.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise ValueError("no regular file")
                contents = file.read(MAX_BYTES + 1)
            if len(contents) > MAX_BYTES:
                raise ValueError(f"larger than {MAX_BYTES} bytes")
            self._good = self._parse(contents)
        except OSError as error:
            raise ValueError(f"{self.path}: {error.strerror}") from None
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        # As it was before it was read: what changed meanwhile is seen later.
        self._seen = _fingerprint(status)
        self._warn(status.st_mode)
        return self._good

    def latest(self, *, at_once: bool = False) -> T | None:
        """
        Return what the file held when it was last good; None if it never was.

        The file is looked at when a second has passed since the last time, or
        `at_once`; what is wrong with it is logged, once.
        """
        passed = None if self._looked is None else self._now() - self._looked
        if at_once or passed is None or not 0 <= passed < LOOK_INTERVAL:
            self._look()
        return self._good

    def _look(self) -> None:
        self._looked = self._now()
        try:
            if self._seen == _fingerprint(os.stat(self.path)):
                self._problem = None
                return
        except OSError:
            pass  # reading it will say why
        try:
            self.read()
        except ValueError as error:
            if str(error) != self._problem:
                kept = " (what it held before still counts)"
                _log.error(
                    "{problem}{kept}",
                    problem=str(error),
                    kept="" if self._good is None else kept,
                )
            self._problem = str(error)
            return
        self._problem = None
        _log.info("{path}: read", path=str(self.path))

    def _warn(self, mode: int) -> None:
        # Groups are how users of one machine share a secret on purpose.
        if mode & stat.S_IRWXO and not self._warned:
            self._warned = True
            _log.warn(
                "{path}: every user of this machine can use it; take that right "
                "away (chmod o=)",
                path=str(self.path),
            )


def _fingerprint(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
