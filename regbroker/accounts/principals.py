"""
Local accounts: who somebody is, as far as a source of accounts can tell.

A source is asked by `regbroker.accounts.password_checks`, which bounds, remembers and
slows down. Each kind has a module of its own: `htpasswd`, `ldap`, `credchecker`.
Logins that are signed (`SignedLogins`) never come there: a signature is right or wrong,
and nobody guesses one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

#: Longer user names are known by their beginning only, in limits and in the log.
MAX_USER_LENGTH = 256


class Limits(Protocol):
    """What is left to somebody of what the rules give."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The limits as they are written, as grants in an access section."""

    def allows(self, action: str, name: str) -> bool:
        """Tell whether an action is left, for a canonical public name."""

    def allows_catalog(self) -> bool:
        """Tell whether listing the catalog is left."""


@dataclass(frozen=True)
class Account:
    """
    Somebody whose password or signed login was right, or who is known to exist.

    `password_version` is opaque. It changes when the password does, and identity tokens
    that carry it end then. It is empty when the source does not know it, and then the
    account gets no identity tokens.

    `identity` is the name of the ``[identity NAME]`` whose issuer vouches for the
    account, empty for none. `claims` are what that issuer says, verified, and not to be
    changed; `conditions` are the named conditions of the section that hold for them.
    No token for the account is good after `expires`, in seconds since 1970; None is for
    no such end.

    `limits` narrow what the rules give to what a robot token has, whose id is
    `token_id`; they are None, and it is empty, for everybody else.
    """

    user: str
    groups: frozenset[str] = frozenset()
    password_version: str = ""
    identity: str = ""
    claims: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)
    conditions: frozenset[str] = frozenset()
    expires: float | None = None
    limits: Limits | None = None
    token_id: str = ""


class LoginRefused(Exception):
    """
    A signed login is not good.

    The text says why, for the log alone: it names no secret, and no client learns it.
    `user` is who the log says it was, `token_id` the id of a token of ours, and
    `identity` the ``[identity NAME]`` that was asked, as far as they are known.
    """

    def __init__(
        self, why: str, user: str = "", token_id: str = "", identity: str = ""
    ) -> None:
        super().__init__(why)
        self.user = user
        self.token_id = token_id
        self.identity = identity


class SignedLogins(Protocol):
    """
    Logins that bring their proof with them: signed texts in the place of a password.

    They are never shown to a source of accounts, and never count as wrong passwords.
    """

    #: What the record of a request calls such a login, beside ``password``.
    kind: str

    def takes(self, text: str) -> bool:
        """Tell whether a text has the form of such a login, good or not."""

    def holds(self, text: str) -> bool:
        """
        Tell whether such a login is part of a text, or is one that is none here.

        A space or the end of a line beside it make no password of it.
        """

    def owns(self, user: str) -> bool:
        """Tell whether a name is one that such logins make: nobody else may have it."""

    async def account(self, user: str, text: str) -> Account:
        """
        Return the account that a login is for.

        `user` is the name beside it, empty where there is none. Raises `LoginRefused`,
        and `regbroker.errors.AccountsUnavailable` when nobody can tell now.
        """


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

        Both are texts of 1 to 4096 characters that UTF-8 can encode, without NUL. None
        for an unknown user as for a wrong password, after the same time. Raises
        `regbroker.errors.AccountsUnavailable` when the source is down; after 15 s
        regbroker cancels it, and answers in its place that it is.
        """

    async def look_up(self, user: str) -> Account | None:
        """
        Return the account without a password, for an identity token.

        None when there is no such user any more; raises as `authenticate`.
        """
