"""
Text that leaves this machine and comes back: nobody else can read it or make it.

AES-256-GCM (NIST SP 800-38D) with a random nonce. The key is derived by HKDF
(RFC 5869) from a secret and a purpose, so what is sealed for one purpose cannot be
opened for another one.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12
_INFO = "regbroker seal, "

#: What came off the wire may have any byte.
_ERRORS = "surrogatepass"


class Sealing(Protocol):
    """Seals text, and opens what was sealed for the same purpose."""

    def seal(self, purpose: str, text: str) -> str:
        """Return `text` sealed: letters, digits, ``-`` and ``_`` alone."""

    def open(self, purpose: str, sealed: str) -> str | None:
        """Return the text that was sealed for this purpose; None for all else."""


class Seal:
    """`key` is a secret of any length that is hard to guess."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, purpose: str, text: str) -> str:
        """Return `text` sealed: letters, digits, ``-`` and ``_`` alone."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher(purpose).encrypt(nonce, _bytes(text), None)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def open(self, purpose: str, sealed: str) -> str | None:
        """Return the text that was sealed for this purpose; None for all else."""
        padded = sealed + "=" * (-len(sealed) % 4)
        try:
            data = base64.b64decode(padded, altchars=b"-_", validate=True)
            nonce, rest = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
            return (
                self._cipher(purpose)
                .decrypt(nonce, rest, None)
                .decode("utf-8", _ERRORS)
            )
        # What is no base64, what is no UTF-8, a nonce that is too short.
        except (ValueError, InvalidTag):
            return None

    def _cipher(self, purpose: str) -> AESGCM:
        derived = HKDF(SHA256(), _KEY_BYTES, None, _bytes(_INFO + purpose))
        return AESGCM(derived.derive(self._key))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", _ERRORS)


class RotatingSeal:
    """
    A seal whose keys change: the first one seals, all of them open.

    `keys` returns those that count now. Asked with True, it looks for new ones
    first: another machine may have sealed with a key that was just added.
    """

    def __init__(self, keys: Callable[[bool], Sequence[bytes]]) -> None:
        self._keys = keys

    def seal(self, purpose: str, text: str) -> str:
        """Return `text` sealed: letters, digits, ``-`` and ``_`` alone."""
        return Seal(self._keys(False)[0]).seal(purpose, text)

    def open(self, purpose: str, sealed: str) -> str | None:
        """Return the text that was sealed for this purpose; None for all else."""
        tried: set[bytes] = set()
        for at_once in (False, True):
            for key in self._keys(at_once):
                if key in tried:
                    continue
                tried.add(key)
                text = Seal(key).open(purpose, sealed)
                if text is not None:
                    return text
        return None
