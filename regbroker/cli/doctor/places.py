"""Where this machine reaches a listener, as far as its line or the system says it."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import NamedTuple

from regbroker.cli.doctor.inherited import Listening, inherited
from regbroker.transport.listening.listeners import Listener

#: Where this machine reaches a listener on all interfaces.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}

#: Clients of unix sockets write no port.
_DEFAULT_PORTS = {False: 80, True: 443}


class UnknownPlace(Exception):
    """Nobody can say from here where a listener is; the text says how to find out."""


class Place(NamedTuple):
    """An address and a port, or a unix socket and the port that URLs imply."""

    address: str | PurePath
    port: int


def place_of(listener: Listener, file: Path | None = None) -> Place:
    """
    Return where a listener of the configuration in `file` is reached.

    Raises `UnknownPlace`.
    """
    where = listener.where
    if where.path is not None:
        return Place(where.path, _DEFAULT_PORTS[listener.tls])
    if where.kind == "systemd":
        found = inherited(where.named.get("index"), where.named.get("name"), file)
        if found is None:
            raise UnknownPlace(
                "systemd hands this socket over, and no running regbroker that has it "
                "can be seen; start it, and run doctor as root or as its user, or "
                "write the address (systemctl list-sockets) as tls:PORT or unix:PATH "
                "into a copy of the file"
            )
        return _reached(found, listener.tls)
    if not where.port:
        raise UnknownPlace(
            "the system chooses this port at each start; the log says 'listening on', "
            "write that port into a copy of the file"
        )
    return Place(_LOOPBACK.get(where.interface, where.interface), where.port)


def _reached(found: Listening, tls: bool) -> Place:
    if found.path is not None:
        return Place(found.path, _DEFAULT_PORTS[tls])
    return Place(_LOOPBACK.get(found.address, found.address), found.port)
