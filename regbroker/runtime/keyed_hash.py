"""Hashes of credentials, which are useless without the key of this process."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from copy import copy


class KeyedHash:
    """
    Hashes texts with a random key: each one of these gives other digests.

    BLAKE2b with a key (RFC 7693, 2.9). The digest stands for a credential in memory:
    a copy of the memory without the key does not let anybody guess it.
    """

    def __init__(self) -> None:
        # The key is taken in once: each digest goes on from here.
        self._keyed = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=32)

    def digest(self, *texts: str) -> bytes:
        """Return 32 bytes for these texts in this order, whatever is in them."""
        return self._fed(texts).digest()

    def after(self, *texts: str) -> KeyedHash:
        """
        Return a hash that takes these texts to stand before all that it is given.

        ``hash.after("a", "b").digest("c")`` is ``hash.digest("a", "b", "c")``.
        """
        begun = copy(self)
        begun._keyed = self._fed(texts)
        return begun

    def _fed(self, texts: Iterable[str]) -> hashlib.blake2b:
        state = self._keyed.copy()
        for text in texts:
            # Also halves of characters, which a client may send in JSON.
            encoded = text.encode("utf-8", "surrogatepass")
            # The length says where a text ends: "ab", "c" is not "a", "bc".
            state.update(len(encoded).to_bytes(8, "big") + encoded)
        return state
