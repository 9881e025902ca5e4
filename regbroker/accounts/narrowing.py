"""
Rights that are written into a token: never wider than what the rules give its user.

They are lines as in an access section, ``team/**: pull, push``. When the token is made,
they are compared with the rules; when it is used, both must allow what is asked for,
since the rules may have changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from regbroker.accounts.access import (
    ACTIONS,
    AUTHENTICATED,
    CATALOG,
    AccessRules,
    Grant,
)
from regbroker.accounts.access_section import parse_grant
from regbroker.accounts.pattern_cover import TooManyPlaces, uncovered
from regbroker.accounts.patterns import NamePattern, is_component, parse_pattern
from regbroker.accounts.principals import Account


@dataclass(frozen=True)
class Rights:
    """What is left to somebody; these are `regbroker.accounts.principals.Limits`."""

    grants: tuple[Grant, ...]

    def allows(self, action: str, name: str) -> bool:
        """Tell whether an action is left, for a canonical public name."""
        return any(
            action in grant.actions and any(p.matches(name) for p in grant.patterns)
            for grant in self.grants
        )

    def allows_catalog(self) -> bool:
        """Tell whether listing the catalog is left."""
        return any(CATALOG in grant.actions for grant in self.grants)

    @property
    def lines(self) -> tuple[str, ...]:
        """The rights as they are written."""
        return tuple(grant.line for grant in self.grants)


def parse_rights(lines: Iterable[str]) -> Rights:
    """Parse rights, one line each; raises `ValueError` that says what is wrong."""
    grants = []
    for line in lines:
        grant = parse_grant(AUTHENTICATED, line.strip())
        for pattern in grant.patterns:
            if pattern.is_per_user:
                raise ValueError(
                    f"'{pattern}': a token is one user's; write the name of that user"
                )
        grants.append(grant)
    if not grants:
        raise ValueError("no rights; write for example 'team/**: pull'")
    return Rights(tuple(grants))


def wider(rights: Rights, rules: AccessRules, account: Account) -> Iterator[str]:
    """Yield a sentence for each right that the rules do not give an account."""
    for grant in rights.grants:
        for action in ACTIONS:
            if action not in grant.actions:
                continue
            given = list(_own(rules.patterns_of(account, action), account.user))
            for pattern in grant.patterns:
                problem = _missing(pattern, given, action)
                if problem:
                    yield f"'{pattern}: {action}': {account.user} {problem}"


def _missing(pattern: NamePattern, given: list[NamePattern], action: str) -> str:
    if not given:
        return f"has no right to {action} anything"
    try:
        name = uncovered(pattern, given)
    except TooManyPlaces:
        return "may have it or not: there are too many wildcards to tell; write fewer"
    return "" if name is None else f"may not {action} {name}"


def _own(patterns: Iterable[NamePattern], user: str) -> Iterator[NamePattern]:
    """Yield patterns with the user's name in them; without those for no such user."""
    for pattern in patterns:
        if not pattern.is_per_user:
            yield pattern
        elif is_component(user):
            yield parse_pattern(str(pattern).replace("${user}", user))
