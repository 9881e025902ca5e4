"""
Local accounts: who somebody is, as far as a source of accounts can tell.

A source is asked by `regbroker.accounts.password_checks`, which bounds, remembers and
slows down. Each kind has a module of its own: `htpasswd`, `ldap`, `credchecker`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

#: Longer user names are known by their beginning only, in limits and in the log.
MAX_USER_LENGTH = 256


@dataclass(frozen=True)
class Account:
    """
    Somebody whose password was right, or who is known to exist.

    `password_version` is opaque. It changes when the password does, and identity tokens
    that carry it end then. It is empty when the source does not know it, and then the
    account gets no identity tokens.
    """

    user: str
    groups: frozenset[str] = frozenset()
    password_version: str = ""


class AccountSource(Protocol):
    """Where accounts come from."""

    #: For the log and for errors: the kind and the file or URL, no secret.
    name: str

    #: Whether accounts of this source may have groups.
    has_groups: bool

    #: Whether `look_up` answers from memory, at once.
    #: `regbroker.accounts.password_checks` then asks it each time before it takes a
    #: password's word from a minute ago.
    cheap_look_up: bool

    def open(self) -> None:
        """Begin; what cannot be read yet is logged and asked again later."""

    def close(self) -> None:
        """End timers, threads and connections."""

    async def authenticate(self, user: str, password: str) -> Account | None:
        """
        Return the account when the password is right.

        None for an unknown user as for a wrong password, after the same time.
        Raises `regbroker.errors.AccountsUnavailable` when the source is down.
        """

    async def look_up(self, user: str) -> Account | None:
        """
        Return the account without a password, for an identity token.

        None when there is no such user any more; raises as `authenticate`.
        """
