"""A file that grows line by line, and that others read meanwhile."""

from __future__ import annotations

import os
from pathlib import Path


def append_line(path: Path, line: str, mode: int = 0o600) -> None:
    """
    Add a line to a file, whole or not at all, and wait until it is on the disk.

    A file that is missing is made, with `mode`. A last line without an end is ended
    first: by hand one is easily left so. Raises `OSError`.
    """
    descriptor = os.open(
        path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode
    )
    try:
        size = os.fstat(descriptor).st_size
        is_open = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        data = ("\n" * is_open + line + "\n").encode("utf-8", "backslashreplace")
        if os.write(descriptor, data) != len(data):
            raise OSError(None, "the disk is full")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
