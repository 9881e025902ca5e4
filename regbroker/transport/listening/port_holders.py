"""Which programs listen on a port of this machine, as far as this user may see it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

#: The state of a TCP socket that listens, in /proc/net/tcp.
_LISTENS = "0A"

#: Of a command line, what is shown.
_MAX_COMMAND = 80


def holders(port: int, processes: Path = Path("/proc")) -> dict[int, str]:
    """
    Return the command lines of those who listen, by the number of their process.

    There is none of other users' processes.
    """
    wanted = {f"socket:[{inode}]" for inode in _inodes(port, processes)}
    found = {}
    for process in processes.glob("[0-9]*") if wanted else ():
        try:
            links = set(_links(process / "fd"))
            command = (process / "cmdline").read_bytes()
        except OSError:
            # It has ended meanwhile, or is somebody else's.
            continue
        if links & wanted:
            text = command.replace(b"\0", b" ").decode(errors="replace")
            found[int(process.name)] = " ".join(text.split())[:_MAX_COMMAND]
    return found


def _links(directory: Path) -> Iterator[str]:
    for each in directory.iterdir():
        with suppress(OSError):
            # It may have been closed meanwhile.
            yield os.readlink(each)


def _inodes(port: int, processes: Path) -> set[str]:
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (processes / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == _LISTENS and int(words[1].rpartition(":")[2], 16) == port:
                found.add(words[9])
    return found
