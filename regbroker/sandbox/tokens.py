"""
Users, what they may do, and the tokens that say so for a while.

A token is a random string; what it allows stands in memory only, so nothing
survives a restart: clients then come back with their password. Anybody may
ask for a token and gets the intersection of what was asked for and what may
be had, which for strangers is nothing (or pulling, if the sandbox says so).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from regbroker.protocol.names import is_name
from regbroker.protocol.scopes import Scope

#: Seconds; what most registries grant.
LIFETIME = 300

#: Kept at once; beyond that the oldest goes first. One pull needs one or two.
MAX_TOKENS = 10_000
MAX_REFRESH_TOKENS = 1_000

_REPOSITORY_ACTIONS = frozenset({"pull", "push", "delete", "*"})
_CATALOG = ("registry", "catalog")


@dataclass(frozen=True)
class Grant:
    """
    What one token allows until `expires`.

    `user` is None for a stranger; `scopes` is what was granted, as it was
    asked for but with fewer actions.
    """

    user: str | None
    scopes: tuple[Scope, ...]
    issued: float
    expires: float
    _access: Mapping[tuple[str, str], frozenset[str]] = field(repr=False)

    def allows(self, type: str, name: str, action: str) -> bool:
        """Tell whether the action on this repository, or registry, is granted."""
        actions = self._access.get((type, name), frozenset())
        return action in actions or "*" in actions


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
        expected = self._passwords.get(name, self._nobodys_password)
        return hmac.compare_digest(expected.encode(), password.encode())

    def may(self, user: str | None, scope: Scope) -> frozenset[str]:
        """Return those of a scope's actions that the user may do."""
        asked = frozenset(scope.actions)
        if scope.is_repository and is_name(scope.name):
            if user is not None:
                return asked & _REPOSITORY_ACTIONS
            if "*" in asked:
                return self._strangers_actions
            return asked & self._strangers_actions
        if (scope.type, scope.name) == _CATALOG and user is not None:
            return asked & {"*"}
        return frozenset()


class Tokens:
    """The tokens that are out; `now` is the time of day in seconds."""

    def __init__(self, users: Users, *, now: Callable[[], float]) -> None:
        self._users = users
        self._now = now
        self._grants: dict[str, Grant] = {}
        self._refresh: dict[str, str] = {}

    def issue(self, user: str | None, scopes: Iterable[Scope]) -> tuple[str, Grant]:
        """Make a token for as much of `scopes` as the user may have."""
        access: dict[tuple[str, str], frozenset[str]] = {}
        granted = []
        for scope in scopes:
            actions = self._users.may(user, scope)
            if actions:
                key = (scope.type, scope.name)
                access[key] = access.get(key, frozenset()) | actions
                granted.append(_with_actions(scope, actions))
        now = self._now()
        grant = Grant(user, tuple(granted), now, now + LIFETIME, access)
        token = secrets.token_urlsafe(32)
        self._grants[token] = grant
        _drop_oldest(self._grants, MAX_TOKENS)
        return token, grant

    def find(self, token: str) -> Grant | None:
        """Return what a token allows; None if it is unknown or has expired."""
        grant = self._grants.get(token)
        if grant is not None and grant.expires <= self._now():
            del self._grants[token]
            return None
        return grant

    def issue_refresh(self, user: str) -> str:
        """Make a token that stands for the user's password."""
        token = secrets.token_urlsafe(32)
        self._refresh[token] = user
        _drop_oldest(self._refresh, MAX_REFRESH_TOKENS)
        return token

    def find_refresh(self, token: str) -> str | None:
        """Return the user that a refresh token was made for, or None."""
        return self._refresh.get(token)


def _with_actions(scope: Scope, actions: frozenset[str]) -> Scope:
    """Return the scope with fewer actions, in the order they were asked for."""
    kept = [action for action in scope.actions if action in actions]
    kept += sorted(actions.difference(kept))
    return replace(scope, actions=tuple(kept)).with_name(scope.name)


def _drop_oldest(kept: dict[str, Grant] | dict[str, str], limit: int) -> None:
    while len(kept) > limit:
        del kept[next(iter(kept))]
