"""The named conditions of an identity, of expressions that need an extra."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

from regbroker.accounts.claims import NamedConditions, no_conditions
from regbroker.accounts.identity.written_claims import Outcome, readings, settled
from regbroker.errors import ConfigurationError
from regbroker.settings.config import IdentityConfig


class _Conditions(Protocol):
    """The conditions of one section; see `regbroker.accounts.identity.cel`."""

    def __call__(self, claims: Mapping[str, object]) -> frozenset[str]: ...

    def outcomes(self, claims: Mapping[str, object]) -> dict[str, Outcome]:
        """Return of each whether it holds, or why that cannot be worked out."""


def named_conditions(entry: IdentityConfig) -> NamedConditions:
    """Return what finds the conditions that hold; raises `ConfigurationError`."""
    if not entry.conditions:
        return no_conditions
    return _expressions(entry.name, tuple(entry.conditions.items()))


def unknown_conditions(
    entry: IdentityConfig, claims: Mapping[str, object]
) -> dict[str, str]:
    """
    Return the conditions that cannot be worked out for a token's claims, and why.

    They do not hold. Raises `ConfigurationError`.
    """
    if not entry.conditions:
        return {}
    conditions = _expressions(entry.name, tuple(entry.conditions.items()))
    outcomes = conditions.outcomes(claims)
    return {name: why for name, why in outcomes.items() if isinstance(why, str)}


def written_conditions(
    entry: IdentityConfig, claims: Mapping[str, object]
) -> dict[str, Outcome]:
    """
    Return of each condition whether it holds for claims that stand in a line.

    Raises `ConfigurationError`.
    """
    if not entry.conditions:
        return {}
    conditions = _expressions(entry.name, tuple(entry.conditions.items()))
    outcomes = [conditions.outcomes(each) for each in readings(claims)]
    return {name: settled(each[name] for each in outcomes) for name in entry.conditions}


@lru_cache(maxsize=64)
def _expressions(name: str, expressions: tuple[tuple[str, str], ...]) -> _Conditions:
    # Parsed once, though each test of a right is about them.
    option = f"[identity {name}] conditions"
    try:
        # An extra, which takes a quarter of a second to load.
        from regbroker.accounts.identity.cel import CelConditions
    except ImportError:
        raise ConfigurationError(
            [f"{option}: need cel-python; install regbroker[cel]"]
        ) from None
    try:
        return CelConditions(dict(expressions))
    except ValueError as error:
        raise ConfigurationError([f"{option}: {error}"]) from None
