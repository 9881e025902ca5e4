"""Hashes of credentials, which are useless without the key of this process."""

from __future__ import annotations

import hashlib
import secrets


class KeyedHash:
    """
    Hashes texts with a random key: each one of these gives other digests.

    BLAKE2b with a key (RFC 7693, 2.9). The digest stands for a credential in memory:
    a copy of the memory without the key does not let anybody guess it.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def digest(self, *texts: str) -> bytes:
        """Return 32 bytes for these texts in this order, whatever is in them."""
        state = hashlib.blake2b(key=self._key, digest_size=32)
        for text in texts:
            # Also halves of characters, which a client may send in JSON.
            encoded = text.encode("utf-8", "surrogatepass")
            # The length says where a text ends: "ab", "c" is not "a", "bc".
            state.update(len(encoded).to_bytes(8, "big"))
            state.update(encoded)
        return state.digest()
