"""The named conditions of an identity, of expressions that need an extra."""

from __future__ import annotations

from regbroker.accounts.identity.verifier import NamedConditions, no_conditions
from regbroker.errors import ConfigurationError
from regbroker.settings.config import IdentityConfig


def named_conditions(entry: IdentityConfig) -> NamedConditions:
    """Return what finds the conditions that hold; raises `ConfigurationError`."""
    if not entry.conditions:
        return no_conditions
    option = f"[identity {entry.name}] conditions"
    try:
        # An extra, which takes a quarter of a second to load.
        from regbroker.accounts.identity.cel import CelConditions
    except ImportError:
        raise ConfigurationError(
            [f"{option}: need cel-python; install regbroker[cel]"]
        ) from None
    try:
        return CelConditions(entry.conditions)
    except ValueError as error:
        raise ConfigurationError([f"{option}: {error}"]) from None
