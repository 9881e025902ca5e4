"""Keys of an issuer that cannot be reached: a JWK set in a file, which may change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from regbroker.accounts.identity.keys import (
    MAX_BYTES,
    IssuerKey,
    KeySet,
    parse_key_set,
)
from regbroker.errors import AccountsUnavailable
from regbroker.runtime.watched_file import WatchedFile


class KeyFile:
    """
    The keys in one file, a `regbroker.accounts.identity.verifier.Keys`.

    `now` returns seconds.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        # Public keys are no secret.
        self._file: WatchedFile[KeySet] = WatchedFile(
            path, parse_key_set, now, max_bytes=MAX_BYTES, is_secret=False
        )

    def open(self) -> None:
        """Read the file; what is wrong with it is logged."""
        self._file.look(at_once=True)

    def close(self) -> None:
        """There is nothing to end."""

    @property
    def keys(self) -> KeySet | None:
        """The keys that count now; None when there are none."""
        return self._file.latest()

    @property
    def problem(self) -> str:
        """Why there are no keys; empty when there are."""
        return "" if self.keys else f"{self._file.path} cannot be used"

    async def find(self, kid: str | None, algorithm: str) -> tuple[IssuerKey, ...]:
        """Return the keys that may have made a signature; none for an unknown one."""
        keys = self.keys
        found = keys.find(kid, algorithm) if keys else ()
        if not found:
            # The key may have been added just now.
            keys = self._file.latest(at_once=True)
            found = keys.find(kid, algorithm) if keys else ()
        if keys is None:
            raise AccountsUnavailable("the keys of this identity cannot be read now")
        return found
