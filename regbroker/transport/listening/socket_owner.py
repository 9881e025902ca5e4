"""Whose the file of a unix socket is."""

from __future__ import annotations

import grp
import os
import pwd
from typing import Any

from regbroker.transport.listening.listeners import Listener


def owner_of(listener: Listener) -> tuple[int, int] | None:
    """
    Return user and group of a socket's file, -1 where one stays as it is.

    Raises `ValueError` for one that this machine does not have.
    """
    if not (listener.user or listener.group):
        return None
    user = group = -1
    try:
        if listener.user:
            user = pwd.getpwnam(listener.user).pw_uid
        if listener.group:
            group = grp.getgrnam(listener.group).gr_gid
    except KeyError:
        kind, name = ("group", listener.group)
        if user == -1 and listener.user:
            kind, name = "user", listener.user
        raise ValueError(f"this machine has no {kind} '{name}'") from None
    return user, group


def give_to(port: Any, owner: tuple[int, int] | None) -> Any:
    """Let others than ourselves own a socket's file; close it when that fails."""
    if owner is not None:
        try:
            os.chown(port.getHost().name, *owner)
        except OSError as error:
            port.stopListening()
            raise ValueError(f"its owner cannot be set: {error.strerror}") from error
    return port
