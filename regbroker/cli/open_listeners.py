"""
Whether the listeners of a configuration can be opened at this moment.

Each is tried, and closed again. What is found is about this moment and this user: a
service that runs has its own ports, and systemd may start it with other rights.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from regbroker.cli.port_holders import holders
from regbroker.settings.config import Config
from regbroker.transport.listening.listeners import Listener, Where


def problems_with_listeners(config: Config) -> Iterator[str]:
    """Yield a line for each listener that could not be opened now."""
    listed = [("listen", each) for each in config.listen]
    listed += [("admin-listen", each) for each in config.admin_listen]
    for option, listener in listed:
        problem = _problem(listener)
        if problem:
            yield f"[regbroker] {option}: {listener.text}: {problem}"


def _problem(listener: Listener) -> str | None:
    where = listener.where
    if where.path is not None:
        return _socket_problem(Path(where.path))
    if where.kind == "tcp":
        return _port_problem(where)
    # systemd has opened it.
    return None


def _port_problem(where: Where) -> str | None:
    host = where.interface or "0.0.0.0"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            # As Twisted does: what is left of closed connections is in nobody's way.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, where.port))
    except socket.gaierror as error:
        return f"{host} is no address of this machine: {error.strerror}"
    except OSError as error:
        return _words(error, where)
    return None


def _words(error: OSError, where: Where) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {where.port} is taken: {_who(where.port)}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"this user may not open port {where.port}; let systemd start regbroker "
            "with AmbientCapabilities=CAP_NET_BIND_SERVICE, or write a port above 1023"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"no interface of this machine has the address {where.interface}"
    return str(error.strerror)


def _who(port: int) -> str:
    commands = holders(port)
    if any("regbroker" in command for command in commands):
        return "regbroker itself runs there, with this configuration or another one"
    if commands:
        return f"'{commands[0]}' listens there"
    return (
        "somebody listens there; if that is not regbroker itself, 'ss -ltnp' as root "
        "says who"
    )


def _socket_problem(path: Path) -> str | None:
    if not path.is_absolute():
        return (
            "the path starts in the directory that regbroker is started in, which may "
            f"not be this one; write the whole path, as unix:/run/regbroker/{path.name}"
        )
    directory = path.absolute().parent
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
    return "somebody listens there already, probably regbroker itself"
