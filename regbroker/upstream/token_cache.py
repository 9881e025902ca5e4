"""Tokens that are still good, by who may have them."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from regbroker.protocol.token_replies import MIN_LIFE_SECONDS, IssuedToken
from regbroker.runtime.bounded_memory import BoundedMemory

#: Tokens kept, and their bytes: a token is 1 to 2 KiB, 16 KiB in some clouds.
MAX_CACHED_TOKENS = 8192
MAX_CACHED_BYTES = 32 * 1024 * 1024


class TokenCache:
    """
    A bounded cache of grants.

    The least recently used token leaves first. `now` returns seconds since
    1970.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._grants: BoundedMemory[Hashable, IssuedToken] = BoundedMemory(
            MAX_CACHED_TOKENS,
            weigh=_size,
            max_weight=MAX_CACHED_BYTES,
            on_leave=self._forget_key,
        )
        self._keys: dict[str, set[Hashable]] = {}
        #: How often a token was found, and how often `get` found none.
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._grants)

    def get(self, key: Hashable, max_age: float | None = None) -> IssuedToken | None:
        """
        Return a token that lives for another minute at least.

        Clients take any token to live that long, whatever they are told. With
        `max_age`, one that was received longer ago, in seconds, is not returned.
        """
        grant = self.find(key, max_age)
        if grant is None:
            self.misses += 1
        return grant

    def find(self, key: Hashable, max_age: float | None = None) -> IssuedToken | None:
        """Return the same; that there is none is not counted."""
        grant = self._grants.use(key)
        if grant is None:
            return None
        now = self._now()
        if max_age is not None and not 0 <= now - grant.received <= max_age:
            return None
        if grant.expires - now < MIN_LIFE_SECONDS:
            self.drop(key)
            return None
        self.hits += 1
        return grant

    def put(self, key: Hashable, grant: IssuedToken) -> None:
        """Keep a token; one that comes with a refresh token is never kept."""
        if grant.refresh_token:
            return
        # The old token under this key leaves before the new one is noted.
        self.drop(key)
        self._keys.setdefault(grant.token, set()).add(key)
        self._grants.put(key, grant)

    def drop(self, key: Hashable) -> None:
        """Forget a token."""
        self._grants.pop(key)

    def drop_token(self, token: str) -> None:
        """Forget a token, whoever may have it."""
        for key in tuple(self._keys.get(token, ())):
            self.drop(key)

    def _forget_key(self, key: Hashable, grant: IssuedToken) -> None:
        keys = self._keys[grant.token]
        keys.discard(key)
        if not keys:
            del self._keys[grant.token]


def _size(grant: IssuedToken) -> int:
    return len(grant.token) + len(grant.scope or "")
