"""
``Authorization`` as a value, and the refusal that it meets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from regbroker.protocol.challenges import Challenge, find_bearer
from regbroker.protocol.scopes import Scope, parse_scopes
from regbroker.protocol.token_replies import IssuedToken
from regbroker.upstream.credentials import Login
from regbroker.upstream.policy import CredentialOwner

#: What a registry says where it wants other credentials than it was shown.
REFUSALS = frozenset({401, 403})


def _hold_nothing() -> None:
    """End what has not begun."""


class Authorization(NamedTuple):
    """
    What a request says upstream, and for whom: the value, or None.

    Of what is not the client's, `login` is what Basic was made of, at the time
    `made`, in seconds; or `grant` is the token, for `scopes`, and `is_fresh` says
    that it was got for this request. `release` lets others show the login: it is
    called, once or more often, when the registry has answered, or will not.
    """

    owner: CredentialOwner
    value: str | None
    login: Login | None = None
    grant: IssuedToken | None = None
    scopes: tuple[Scope, ...] = ()
    made: float = 0.0
    is_fresh: bool = False
    release: Callable[[], object] = _hold_nothing

    def __repr__(self) -> str:
        # The value is a secret.
        return f"<Authorization of {self.owner.value}>"


@dataclass(frozen=True)
class Refusal:
    """A registry's 401 or 403; `text` is its body, as far as it was read."""

    status: int
    challenges: tuple[Challenge, ...] = ()
    text: str = ""

    @property
    def says_expired(self) -> bool:
        """Whether it is about a login that was good once, as ECR's is."""
        return self.status == 403 and "expired" in self.text.lower()


def wider_scopes(
    scopes: tuple[Scope, ...], challenges: Iterable[Challenge]
) -> tuple[Scope, ...]:
    """Return scopes with what a challenge names besides, about the same names."""
    bearer = find_bearer(challenges)
    wanted = parse_scopes([(bearer and bearer.get("scope")) or ""], bounded=False)
    wider = []
    for scope in scopes:
        more = [
            action
            for one in wanted
            if (one.type, one.name) == (scope.type, scope.name)
            for action in one.actions
            if action not in scope.actions
        ]
        actions = (*scope.actions, *dict.fromkeys(more))
        wider.append(scope.with_actions(actions) if more else scope)
    return tuple(wider)
