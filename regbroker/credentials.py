"""
The upstream's own credentials: who regbroker itself is there.

`Credentials` is all that a relay sees of them. They come from a file
(`PasswordFile`, also what systemd's ``LoadCredential`` leaves below
``/run/credentials``), or from a helper program (`regbroker.credentialhelper`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from regbroker.causes import Cause
from regbroker.errors import UpstreamUnavailable
from regbroker.watchedfile import WatchedFile

#: The user of a login whose password is an identity token, as docker has it.
TOKEN_USER = "<token>"


class Login(NamedTuple):
    """A user and a password; `repr` does not tell the password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login(user={self.user!r})"

    @property
    def identity_token(self) -> str | None:
        """The token, when this is one: for ``grant_type=refresh_token``."""
        return self.password if self.user == TOKEN_USER else None


class Credentials(Protocol):
    """Where the upstream's credentials come from."""

    async def get(self) -> Login:
        """
        Return what to log in with.

        Raises `UpstreamUnavailable` when there is nothing; why is in the log.
        """

    def refused(self, login: Login | None = None) -> None:
        """
        Hear that the upstream said 401 to `login`: what comes next is new.

        Late news of a login that has been replaced since changes nothing.
        """

    def close(self) -> None:
        """End what is under way."""


class PasswordFile:
    """
    A user, and a password that is all there is in a file.

    Changes count a second later, and at once after a refusal. A file that
    cannot be read any more leaves the last good password. `now` returns seconds.
    """

    def __init__(self, user: str, path: Path, now: Callable[[], float]) -> None:
        self._user = user
        self._file = WatchedFile(path, parse_password, now)
        self._refused = False

    async def get(self) -> Login:
        """Return the user and what the file holds."""
        password = self._file.latest(at_once=self._refused)
        self._refused = False
        if password is None:
            raise unavailable()
        return Login(self._user, password)

    def refused(self, login: Login | None = None) -> None:
        """Look at the file before it is used again."""
        self._refused = True

    def close(self) -> None:
        """Do nothing: no file is kept open."""


def parse_password(contents: bytes) -> str:
    """Return the only line of a file; raises `ValueError`."""
    try:
        password = contents.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if not password:
        raise ValueError("empty; the password is to be its only line")
    if any(character in password for character in "\r\n\0"):
        raise ValueError("more than one line; the password is to be its only one")
    return password


def unavailable() -> UpstreamUnavailable:
    """Return the error for clients, who learn nothing of files and programs."""
    return UpstreamUnavailable(
        "the registry's own credentials are not at hand; its operator finds "
        "the reason in the log",
        cause=Cause.OWN_ACCOUNT_MISSING,
    )
