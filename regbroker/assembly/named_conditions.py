"""The named conditions of an identity, of expressions that need an extra."""

from __future__ import annotations

from functools import lru_cache

from regbroker.accounts.identity.verifier import NamedConditions, no_conditions
from regbroker.errors import ConfigurationError
from regbroker.settings.config import IdentityConfig


def named_conditions(entry: IdentityConfig) -> NamedConditions:
    """Return what finds the conditions that hold; raises `ConfigurationError`."""
    if not entry.conditions:
        return no_conditions
    return _expressions(entry.name, tuple(entry.conditions.items()))


@lru_cache(maxsize=64)
def _expressions(
    name: str, expressions: tuple[tuple[str, str], ...]
) -> NamedConditions:
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
