"""Whether a file that a configuration names can be read."""

from __future__ import annotations

import os
from pathlib import PurePath

from regbroker.runtime.unreadable import why_unreadable


def problem_with_file(path: PurePath) -> str | None:
    """Say why a file cannot be read; None when it can be."""
    try:
        with open(path, "rb", opener=open_at_once) as file:
            file.read(1)
    except OSError as error:
        return f"{path} cannot be read: {why_unreadable(error)}"
    except ValueError:
        return "the path has a NUL character; no file has such a name"
    return None


def open_at_once(path: str, flags: int) -> int:
    """Open a file as `os.open` does, without waiting for who writes to a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)
