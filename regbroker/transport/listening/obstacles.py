"""
What keeps a listener from being opened at this moment, and what to do about it.

The start and a reload say it of what they could not open. ``regbroker check`` tries
each listener, and closes it again. What is found is about this moment and this user: a
service that runs has its own ports, and systemd may start it with other rights.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from regbroker.transport.listening.listeners import Listener, Where
from regbroker.transport.listening.port_holders import holders
from regbroker.transport.listening.socket_owner import owner_of

_WE_DO = "this regbroker itself listens there; restart it for such a change"


def obstacle(listener: Listener) -> str | None:
    """Try a listener, and say why it could not be opened; None if it could."""
    where = listener.where
    if where.path is not None:
        return _socket_problem(Path(where.path).absolute()) or _owner_problem(listener)
    if where.kind == "tcp":
        return _port_problem(where)
    # systemd has opened it.
    return None


def why_refused(listener: Listener, error: BaseException) -> str | None:
    """Say more of an error of opening a listener; None where there is no more."""
    where = listener.where
    if isinstance(error, ValueError):
        # The socket was there, and could not be given away.
        return _owner_problem(listener)
    if where.path is not None:
        return obstacle(listener)
    return _words(error, where) if where.kind == "tcp" else None


def _port_problem(where: Where) -> str | None:
    host = where.interface or "0.0.0.0"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            # As Twisted does: what is left of closed connections is in nobody's way.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # An interface behind the address is a number in what is bound.
            places = socket.getaddrinfo(host, where.port, family, socket.SOCK_STREAM)
            trial.bind(places[0][-1])
    except OSError as error:
        return _words(error, where) or str(error.strerror)
    return None


def _words(error: BaseException, where: Where) -> str | None:
    number = getattr(error, "errno", None)
    address = where.interface
    if isinstance(error, socket.gaierror):
        return (
            f"{address} is no address of this machine; write one that 'ip address' "
            "shows"
        )
    if number == errno.EADDRINUSE:
        return f"port {where.port} is taken: {_who(where.port)}"
    if number in (errno.EACCES, errno.EPERM):
        return (
            f"this user may not open port {where.port}; let systemd start regbroker "
            "with AmbientCapabilities=CAP_NET_BIND_SERVICE or hand over the socket, or "
            "write a port above 1023"
        )
    if number == errno.EADDRNOTAVAIL:
        return (
            f"no interface of this machine has the address {address}; write one that "
            "'ip address' shows"
        )
    if number == errno.EINVAL and address.lower().startswith("fe80:"):
        return (
            f"{address} is an address of one link; write which, as in interface="
            + address.partition("%")[0].replace(":", r"\:")
            + "%eth0"
        )
    return None


def _who(port: int) -> str:
    found = holders(port)
    if os.getpid() in found:
        return _WE_DO
    if any("regbroker" in command for command in found.values()):
        return (
            "regbroker itself runs there, with this configuration or another one; two "
            "at a time need two ports"
        )
    remedy = "end that, or write another port"
    for command in found.values():
        return f"'{command}' listens there; {remedy}"
    return (
        "somebody listens there; if that is not regbroker itself, 'ss -ltnp' as root "
        f"says who; {remedy}"
    )


def _socket_problem(path: Path) -> str | None:
    directory = path.parent
    if not directory.is_dir():
        return f"there is no directory {directory}; make it"
    if not os.access(directory, os.W_OK | os.X_OK):
        return (
            f"this user may not make a socket in {directory}; let the user that "
            "regbroker runs as own the directory (RuntimeDirectory= in systemd)"
        )
    try:
        mode = path.lstat().st_mode
    except OSError:
        return None
    if not stat.S_ISSOCK(mode):
        return f"{path} is there, and is no socket; take it away"
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(str(path))
        except OSError:
            # It is left of somebody who has ended, and is replaced.
            return None
    if _holds_lock(path):
        return _WE_DO
    return "somebody listens there already, probably regbroker itself"


def _holds_lock(path: Path) -> bool:
    """Tell whether the socket is ours: Twisted's lock beside it leads to a process."""
    try:
        return os.readlink(f"{path}.lock") == str(os.getpid())
    except OSError:
        return False


def _owner_problem(listener: Listener) -> str | None:
    try:
        user, group = owner_of(listener) or (-1, -1)
    except ValueError:
        # It has been said already.
        return None
    if os.geteuid() == 0:
        return None
    if user not in (-1, os.geteuid()):
        return "this user cannot give a socket to another one; take user= out"
    if group not in (-1, os.getegid(), *os.getgroups()):
        return (
            f"this user is not in the group {listener.group}; add it there, or take "
            "group= out"
        )
    return None
