"""
Users, what they may do, and the tokens that say so for a while.

The tokens are those of accounts of regbroker's own, from an issuer that is another
one after each start: clients then come back with their password. Anybody may
ask for a token and gets the intersection of what was asked for and what may
be had, which for strangers is nothing (or pulling, if the sandbox says so).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping

from regbroker.accounts.signing import SigningKeys, TokenSigner
from regbroker.accounts.tokens import AccessToken, InvalidToken
from regbroker.protocol.names import is_name
from regbroker.protocol.scopes import Scope

#: What the tokens are for, and how the token service calls itself.
SERVICE = "regbroker-sandbox"

_REPOSITORY_ACTIONS = frozenset({"pull", "push", "delete", "*"})
_CATALOG = ("registry", "catalog")


class Users:
    """Names and passwords, and what each may do."""

    def __init__(
        self, passwords: Mapping[str, str], *, anonymous_pull: bool = False
    ) -> None:
        self._passwords = dict(passwords)
        self._nobodys_password = secrets.token_hex()
        self._strangers_actions = frozenset({"pull"} if anonymous_pull else ())

    def check(self, name: str, password: str) -> bool:
        """Tell whether the password is the user's, in the same time for all."""
        expected = self._passwords.get(name, self._nobodys_password).encode()
        return hmac.compare_digest(
            expected, password.encode("utf-8", "surrogateescape")
        )

    def granted(self, user: str | None, scope: Scope) -> Scope:
        """Return a scope with those of its actions that the user may do."""
        may: frozenset[str] = frozenset()
        if scope.is_repository and is_name(scope.name):
            may = self._strangers_actions if user is None else _REPOSITORY_ACTIONS
            if user is None and "*" in scope.actions:
                return scope.with_actions(tuple(may))
        elif (scope.type, scope.name) == _CATALOG and user is not None:
            may = frozenset({"*"})
        return scope.with_actions(tuple(a for a in scope.actions if a in may))


class Tokens:
    """Makes tokens for `users`, and reads them; `now` is the time of day in seconds."""

    def __init__(
        self, users: Users, keys: SigningKeys, *, now: Callable[[], float]
    ) -> None:
        self._users = users
        self._now = now
        self._signer = TokenSigner(keys, f"sandbox {secrets.token_hex(16)}", now)

    @property
    def life(self) -> float:
        """How long a token lives, in seconds."""
        return self._signer.access_life

    def issue(self, user: str | None, scopes: Iterable[Scope]) -> str:
        """Return a token for as much of `scopes` as the user may have."""
        granted = (self._users.granted(user, scope) for scope in scopes)
        access = tuple(scope for scope in granted if scope.actions)
        return self._signer.issue_access(user or "", SERVICE, access)

    def find(self, token: str) -> AccessToken | None:
        """Return what a token allows; None if it is not ours or has expired."""
        try:
            found = self._signer.check_access(token, SERVICE)
        except InvalidToken:
            return None
        # No other clock than this one has made it.
        return found if self._now() < found.expires else None

    def issue_refresh(self, user: str) -> str:
        """Return a token that stands for the user's password."""
        return self._signer.issue_identity(user, SERVICE, "")

    def find_refresh(self, token: str) -> str | None:
        """Return the user that a refresh token was made for, or None."""
        try:
            return self._signer.check_identity(token, SERVICE).user
        except InvalidToken:
            return None
