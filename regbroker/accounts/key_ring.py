"""
The keys that sign our tokens, as they come and go in their file.

Apart from what signs and verifies, which takes long to load: what clients carry for us
is sealed with these keys where no token is ours, too (`regbroker.accounts.sealing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from regbroker.accounts.key_file import (
    PrivateKey,
    PublicKey,
    parse_keys,
    secret_of,
    thumbprint,
)
from regbroker.accounts.tokens import ACCESS_LIFE, LEEWAY
from regbroker.errors import StateError
from regbroker.runtime.watched_file import WatchedFile


class KeyRing:
    """
    The keys in a file, as of a second ago.

    A key that leaves the file is good for another `grace` seconds, in this
    process: what lives no longer than that outlasts a change of keys that
    was made in one step. `now` returns seconds since 1970. Raises `StateError`
    when the file cannot be used; later on, it keeps what the file held last.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], float],
        *,
        grace: float = ACCESS_LIFE + LEEWAY,
    ) -> None:
        self._now = now
        self._grace = grace
        self._file = WatchedFile(path, parse_keys, now)
        try:
            self._keys = self._file.read()
        except ValueError as error:
            raise StateError(str(error)) from None
        self._current = _by_kid(self._keys)
        self._left: dict[str, tuple[PrivateKey, float]] = {}

    def first(self) -> tuple[str, PrivateKey]:
        """Return the key that signs, and its ``kid``."""
        self._look()
        return next(iter(self._current)), self._keys[0]

    def find(self, kid: str) -> PublicKey | None:
        """Return the key that verifies signatures of this ``kid``, if any."""
        self._look()
        if kid not in self._current and kid not in self._left:
            # Another process may have signed with what has just been added.
            self._look(at_once=True)
        key = self._current.get(kid) or self._left.get(kid, (None, 0.0))[0]
        return None if key is None else key.public_key()

    def secrets(self, at_once: bool = False) -> Sequence[bytes]:
        """
        Return a secret for each key that verifies, the one that signs first.

        With `at_once` the file is looked at before.
        """
        self._look(at_once=at_once)
        left = [key for key, _ in self._left.values()]
        return [secret_of(key) for key in (*self._keys, *left)]

    def _look(self, *, at_once: bool = False) -> None:
        now = self._now()
        keys = self._file.latest(at_once=at_once)
        if keys is not None and keys is not self._keys:
            before, self._current = self._current, _by_kid(keys)
            self._keys = keys
            for kid in before.keys() - self._current.keys():
                self._left[kid] = before[kid], now + self._grace
        for kid, (_, until) in list(self._left.items()):
            if now >= until:
                del self._left[kid]


def _by_kid(keys: tuple[PrivateKey, ...]) -> dict[str, PrivateKey]:
    return {thumbprint(key.public_key()): key for key in keys}
