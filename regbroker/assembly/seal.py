"""
Assembly of the seal: what clients carry for us is sealed with the signing key.

Machines that share the key open each other's seals.
"""

from __future__ import annotations

from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regbroker.accounts.key_file import make_key
from regbroker.accounts.key_ring import KeyRing
from regbroker.accounts.sealing import RotatingSeal, Seal, Sealing
from regbroker.errors import StateError
from regbroker.settings.config import Config

_log = Logger()


def build_seal(config: Config, reactor: IReactorTime, key_in_memory: bytes) -> Sealing:
    """
    Return the seal of all registries; the key is made when there is none.

    Without accounts of our own nothing else needs the key, so a state directory
    that cannot be written to is no reason not to start: `key_in_memory` takes
    its place. Raises `StateError` for a signing key that cannot be used.
    """
    try:
        path = config.signing_key or make_key(Path(config.state_directory))
        return RotatingSeal(KeyRing(Path(path), reactor.seconds).secrets)
    except StateError as error:
        if config.signing_key is not None or config.signs_tokens:
            raise
        _log.warn(
            "{problem}; a key in memory takes its place. Uploads to registries whose "
            "upload URLs lie outside /v2 end then when regbroker is restarted, and "
            "work on this machine only; write signing-key, or make the directory "
            "writable",
            problem=str(error),
        )
        return Seal(key_in_memory)
