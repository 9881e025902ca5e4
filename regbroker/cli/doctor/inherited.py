"""
Sockets that systemd has handed over to a regbroker that runs: where they listen.

systemd says in the environment of a process which descriptors it has opened for it
(sd_listen_fds(3)). The kernel has both in /proc: the environment with which a process
began, and the addresses of its sockets.
"""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path, PurePath
from typing import NamedTuple

#: The first descriptor that systemd hands over.
_FIRST = 3

#: The state of a TCP socket that listens, in /proc/net/tcp.
_LISTENS = "0A"


class Listening(NamedTuple):
    """Where a socket listens: an address and a port, or a path."""

    address: str = ""
    port: int = 0
    path: PurePath | None = None


def inherited(
    index: str | None,
    name: str | None,
    file: Path | None = None,
    processes: Path = Path("/proc"),
) -> Listening | None:
    """
    Return where the socket with this index, or of this name, listens.

    A process that has `file` as an argument counts before others. None where no
    process of regbroker's has the socket, or several have different ones, or this user
    may not look.
    """
    found: dict[bool, set[Listening]] = {True: set(), False: set()}
    for process in processes.glob("[0-9]*"):
        try:
            place = _of_process(process, index, name)
            if place is not None:
                found[_has_argument(process, file)].add(place)
        except (OSError, ValueError, IndexError):
            # It has ended meanwhile, or is somebody else's.
            continue
    places = found[True] or found[False]
    return places.pop() if len(places) == 1 else None


def _has_argument(process: Path, file: Path | None) -> bool:
    """Tell whether a file stands in the command line of a process."""
    words = (process / "cmdline").read_bytes().split(b"\0")
    directory = os.readlink(process / "cwd")
    return file is not None and any(
        Path(directory, os.fsdecode(word.rpartition(b"=")[2])).resolve()
        == file.resolve()
        for word in words
        if word
    )


def _of_process(process: Path, index: str | None, name: str | None) -> Listening | None:
    pairs = (process / "environ").read_bytes().split(b"\0")
    values = dict(os.fsdecode(pair).partition("=")[::2] for pair in pairs)
    if values.get("LISTEN_PID") != process.name:
        return None
    if b"regbroker" not in (process / "cmdline").read_bytes():
        return None
    if index is not None:
        number = int(index)
    else:
        number = values.get("LISTEN_FDNAMES", "").split(":").index(name or "")
    if number >= int(values.get("LISTEN_FDS", "0")):
        return None
    link = os.readlink(process / "fd" / str(_FIRST + number))
    match = re.fullmatch(r"socket:\[(\d+)\]", link)
    return _of_socket(process / "net", match[1]) if match else None


def _of_socket(net: Path, inode: str) -> Listening | None:
    for kind in ("tcp", "tcp6"):
        for words in _table(net / kind):
            if words[9] == inode and words[3] == _LISTENS:
                address, _, port = words[1].partition(":")
                return Listening(_address(address), int(port, 16))
    for words in _table(net / "unix"):
        if words[6] == inode and len(words) > 7:
            return Listening(path=PurePath(words[7]))
    return None


def _table(path: Path) -> list[list[str]]:
    try:
        lines = path.read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        # A kernel without IPv6 has no table of it.
        return []
    return [line.split(maxsplit=10 if "tcp" in path.name else 7) for line in lines]


def _address(text: str) -> str:
    """Return an address out of words of 32 bits, each with its low byte first."""
    data = bytes.fromhex(text)
    data = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
    return str(IPv4Address(data) if len(data) == 4 else IPv6Address(data))
