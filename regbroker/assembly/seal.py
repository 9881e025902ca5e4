"""
Assembly of the seal: what clients carry for us is sealed with the signing key.

Machines that share the key open each other's seals.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regbroker.accounts.key_ring import KeyRing
from regbroker.accounts.sealing import RotatingSeal, Seal, Sealing
from regbroker.assembly.own_keys import open_keys, problem_with_keys
from regbroker.errors import StateError
from regbroker.settings.config import Config

#: What follows where no key can be kept, and nothing else needs one.
_IN_MEMORY = (
    "a key in memory takes its place. With it, uploads to registries whose upload URLs "
    "lie outside /v2 end when regbroker is restarted, and work on this machine only"
)

_log = Logger()


def build_seal(config: Config, reactor: IReactorTime, key_in_memory: bytes) -> Sealing:
    """
    Return the seal of all registries; the key is made when there is none.

    Without accounts of our own nothing else needs the key, so a state directory
    that cannot be written to is no reason not to start: `key_in_memory` takes
    its place. Raises `StateError` for a signing key that cannot be used.
    """
    try:
        return open_keys(
            config, lambda path: RotatingSeal(KeyRing(path, reactor.seconds).secrets)
        )
    except StateError as error:
        if _needs_key(config):
            raise
        _log.warn("{problem}; {memory}", problem=str(error), memory=_IN_MEMORY)
        return Seal(key_in_memory)


def seal_warning(config: Config) -> str | None:
    """Return what `build_seal` would log; None where it has a key, or must have one."""
    problem = None if _needs_key(config) else problem_with_keys(config)
    return f"{problem}; {_IN_MEMORY}" if problem else None


def _needs_key(config: Config) -> bool:
    return config.signing_key is not None or config.signs_tokens
