"""
A file of a log that another program may rename, as logrotate does.

Who writes goes on in the renamed file until the file is opened again under its name.
Nothing that was written is lost in between.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

#: The log has addresses and names of users in it.
MODE = 0o640

#: To open a pipe that nobody reads would stop the process until somebody does.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC

#: No file has this number.
_CLOSED = -1


class ReopenedFile:
    """
    A text file that is appended to, by name.

    Raises `OSError` where the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        # Whoever becomes a daemon may go to another directory.
        self.path = path.absolute()
        self._descriptor = _append_to(self.path)
        self._waiting: list[str] = []
        self._is_cut = False

    def write(self, text: str) -> None:
        """Write a text; nobody reads it before `flush`."""
        self._waiting.append(text)

    def flush(self) -> None:
        """
        Hand over to the system what was written.

        Raises `OSError` where it does not take everything; what it has not taken is
        lost. A line that is cut then is ended before the next one.
        """
        # Not a file of Python's, which would keep what the disk had no room for, and
        # fail once more when it is closed.
        data = "".join(self._waiting).encode("utf-8", "backslashreplace")
        self._waiting.clear()
        if data and self._is_cut:
            data = b"\n" + data
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        finally:
            taken = data[: len(data) - len(left)]
            if taken:
                self._is_cut = not taken.endswith(b"\n")

    def reopen(self) -> None:
        """
        Go on in the file that has the name now; it is made if there is none.

        Raises `OSError` when that cannot be; the file before is written to, then.
        """
        descriptor = _append_to(self.path)
        with suppress(OSError):
            # What was written belongs into the file that it was written for.
            self.flush()
        _close(self._descriptor)
        self._descriptor, self._is_cut = descriptor, False

    def close(self) -> None:
        """Write no more."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            _close(descriptor)


def problem_with_log(path: Path) -> str | None:
    """Say why a log cannot be written to a file; None if it can. Nothing is made."""
    # A link may lead to what is not there yet.
    there = os.path.realpath(path)
    try:
        try:
            os.close(os.open(there, _FLAGS))
        except FileNotFoundError:
            directory = os.path.dirname(there)
            os.stat(directory)
            if not os.access(directory, os.W_OK | os.X_OK):
                return os.strerror(errno.EACCES)
    except OSError as error:
        return error.strerror
    return None


def _append_to(path: Path) -> int:
    descriptor = os.open(path, _FLAGS | os.O_CREAT, MODE)
    # A pipe that is read slowly is waited for.
    os.set_blocking(descriptor, True)
    return descriptor


def _close(descriptor: int) -> None:
    # A disk elsewhere may say only now that it is full. Nobody can do anything then.
    with suppress(OSError):
        os.close(descriptor)
