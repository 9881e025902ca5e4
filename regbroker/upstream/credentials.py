"""
The upstream's own credentials: who regbroker itself is there.

`Credentials` is all that a relay sees of them. They come from a file (`PasswordFile`,
also what systemd's ``LoadCredential`` leaves below ``/run/credentials``), from the
environment (`EnvironmentPassword`), or from a helper program
(`regbroker.upstream.credential_helper`). Some passwords have many lines: Google's
``_json_key`` is the whole key file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from twisted.logger import Logger

from regbroker.causes import Cause
from regbroker.errors import UpstreamUnavailable
from regbroker.runtime.utf16 import refuse_utf16
from regbroker.runtime.watched_file import WatchedFile, parse_file

#: The user of a login whose password is an identity token, as docker has it.
TOKEN_USER = "<token>"

#: Docker Hub by all its names, and what docker knows it as since its first version.
DOCKER_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
DOCKER_HUB_SERVER = "https://index.docker.io/v1/"

_log = Logger()


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


class EnvironmentPassword:
    """A user, and a password that an environment variable holds."""

    def __init__(
        self, user: str, variable: str, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._user = user
        self._variable = variable
        self._environment = environment
        self._complained = False

    async def get(self) -> Login:
        """Return the user and what the variable holds."""
        try:
            password = environment_password(self._variable, self._environment)
        except ValueError as error:
            if not self._complained:
                self._complained = True
                _log.error("{problem}", problem=str(error))
            raise unavailable() from None
        return Login(self._user, password)

    def refused(self, login: Login | None = None) -> None:
        """Do nothing: an environment does not change."""

    def close(self) -> None:
        """Do nothing."""


def environment_password(
    variable: str, environment: Mapping[str, str] = os.environ
) -> str:
    """Return the password in an environment variable; raises `ValueError`."""
    text = environment.get(variable)
    if text is None:
        raise ValueError(f"the environment has no {variable}")
    try:
        return parse_password(text.encode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise ValueError(f"{variable} in the environment is {error}") from None


def parse_password(contents: bytes) -> str:
    """
    Return the password that a file holds; raises `ValueError`.

    It is all that there is, but for one newline at its end, and a byte order mark.
    """
    refuse_utf16(contents)
    try:
        password = without_newline(contents.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if not password.strip("\r\n"):
        raise ValueError("empty; the password is to be all that it holds")
    if "\0" in password:
        raise ValueError("no text: it holds a NUL, which no password has")
    return password


def without_newline(text: str) -> str:
    """Return a text without the newline at its end, if there is one."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def docker_server(host: str, netloc: str) -> str:
    """
    Return what docker stores the credentials for a registry under.

    `netloc` is the host with its port, if that is not the usual one. Source:
    docker/cli, ``cli/config/credentials``, and its ``registry.IndexServer``.
    """
    return DOCKER_HUB_SERVER if host in DOCKER_HUB_HOSTS else netloc


def password_problem(path: Path) -> str | None:
    """Say what is wrong with a password file that can be read; None for nothing."""
    if not os.access(path, os.R_OK):
        # This has been said already.
        return None
    try:
        parse_file(path, parse_password)
    except ValueError as error:
        return str(error)
    return None


def password_oddity(path: Path, user: str) -> str | None:
    """Say what `user` may not mean in a password file that can be used."""
    try:
        password = parse_file(path, parse_password)
    except ValueError:
        # This has been said already.
        return None
    if password.startswith("{"):
        # Some registries take a key of several lines, which is JSON.
        return None
    if len(password.splitlines()) > 1:
        return f"{path}: it has several lines, and all of them are the password"
    if user and password.startswith(f"{user}:"):
        return f"{path}: it begins with the user, as if that were in the password"
    if password.strip() != password:
        return f"{path}: the blanks at its beginning or end are in the password"
    return None


def unavailable() -> UpstreamUnavailable:
    """Return the error for clients, who learn nothing of files and programs."""
    return UpstreamUnavailable(
        "the registry's own credentials are not at hand; its operator finds "
        "the reason in the log",
        cause=Cause.OWN_ACCOUNT_MISSING,
    )
