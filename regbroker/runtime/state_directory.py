"""A directory for what outlives a restart: whether it can be written to."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def state_problem(directory: Path) -> str | None:
    """
    Say why nothing could be kept in a directory, which may be missing; None if it can.

    Nothing of the trial stays.
    """
    missing: list[str] = []
    # Where it would be begun to make directories.
    there = directory
    try:
        while not _is_there(there):
            missing.append(there.name)
            there = there.parent
        for name in missing:
            # A name may be too long for the file system.
            _is_there(there / name)
        os.rmdir(tempfile.mkdtemp(prefix=".regbroker-", dir=there))
    except OSError as error:
        return error.strerror
    return None


def no_place(directory: Path, problem: str | None, kept: str) -> str:
    """Return what an operator is told where what is `kept` cannot be written."""
    return (
        f"[regbroker] state-directory: {directory}: {problem}; name a directory that "
        f"the user that regbroker runs as may write to; {kept} there"
    )


def _is_there(path: Path) -> bool:
    with suppress(FileNotFoundError):
        os.lstat(path)
        return True
    return False
