"""
A file of a log that another program may rename, as logrotate does.

Who writes goes on in the renamed file until the file is opened again under its name.
Nothing that was written is lost in between.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

#: The log has addresses and names of users in it.
MODE = 0o640


class ReopenedFile:
    """
    A text file that is appended to, by name.

    Raises `OSError` where the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        # Whoever becomes a daemon may go to another directory.
        self.path = path.absolute()
        self._file = _append_to(self.path)

    def write(self, text: str) -> None:
        """Write a text; nobody reads it before `flush`."""
        self._file.write(text)

    def flush(self) -> None:
        """Hand over to the system what was written."""
        self._file.flush()

    def reopen(self) -> None:
        """
        Go on in the file that has the name now; it is made if there is none.

        Raises `OSError` when that cannot be; the file before is written to, then.
        """
        before, self._file = self._file, _append_to(self.path)
        before.close()

    def close(self) -> None:
        """Write no more."""
        self._file.close()


def _append_to(path: Path) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, MODE)
    return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
