"""
The sockets that systemd has handed over: sd_listen_fds(3).

Twisted's endpoints take them by name or number. One that no listener takes is open all
the same: the system accepts clients there, and they wait for an answer for ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from twisted.logger import Logger

from regbroker.transport.listening.listeners import Listener

#: The environment as the process began with it: Twisted takes out what it has read.
BEGINNING = Path("/proc/self/environ")

_log = Logger()


def warn_of_left_over(
    listeners: Iterable[Listener], beginning: Path = BEGINNING
) -> None:
    """Log the sockets that this process was handed, and that no listener takes."""
    try:
        pairs = beginning.read_bytes().split(b"\0")
    except OSError:
        return
    environment = dict(os.fsdecode(pair).partition("=")[::2] for pair in pairs)
    for name in left_over(environment, os.getpid(), listeners):
        _log.warn(
            "systemd has handed over the socket '{name}', and no listener takes it: "
            "who connects there gets no answer; write listen = "
            "tls:systemd:domain=INET6:name={name}, or stop the socket unit "
            "(systemctl disable --now)",
            name=name,
        )


def left_over(
    environment: Mapping[str, str], process: int, listeners: Iterable[Listener]
) -> list[str]:
    """Return the names of the sockets that no listener takes, in their order."""
    if environment.get("LISTEN_PID") != str(process):
        return []
    count = environment.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdigit()):
        return []
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    wheres = [listener.where for listener in listeners]
    taken = [where.named for where in wheres if where.kind == "systemd"]
    by_name = {named.get("name") for named in taken}
    by_index = {named.get("index") for named in taken}
    return [
        name
        for index, name in enumerate(names[: int(count)])
        if name not in by_name and str(index) not in by_index
    ]
