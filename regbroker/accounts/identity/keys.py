"""
The keys of an issuer: a JSON Web Key Set (RFC 7517), read once and bounded.

Only public keys for signatures count. Symmetric keys are left out, whatever the set
says: who verifies with one could sign with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from regbroker.accounts.identity.algorithms import CURVES, RSA_ALGORITHMS

Key = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

#: Google's sets and Azure's, the largest known, have 10 KiB.
MAX_BYTES = 256 * 1024

#: More than any issuer has.
MAX_KEYS = 64

#: A token without a ``kid`` is tried with each key that fits, if there are no more.
MAX_WITHOUT_KID = 4

#: RFC 7518, 3.3: 2048 bits at least. The time of a verification grows with the square.
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192


@dataclass(frozen=True)
class IssuerKey:
    """A public key; `algorithms` are those whose signatures it verifies."""

    kid: str | None
    algorithms: frozenset[str]
    key: Key


@dataclass(frozen=True)
class KeySet:
    """The keys of an issuer that can be used; `left_out` says how many cannot."""

    keys: tuple[IssuerKey, ...]
    left_out: int = 0

    def find(self, kid: str | None, algorithm: str) -> tuple[IssuerKey, ...]:
        """
        Return the keys that may have made a signature.

        Without a ``kid`` in the token, all that fit the algorithm; none if these are
        many.
        """
        found = tuple(
            each
            for each in self.keys
            if algorithm in each.algorithms and (kid is None or each.kid == kid)
        )
        return found if kid is not None or len(found) <= MAX_WITHOUT_KID else ()


def parse_key_set(contents: bytes) -> KeySet:
    """
    Parse a JWK set; keys that are for something else, or not understood, are left out.

    Raises `ValueError` for what is no set, or has no key that can be used.
    """
    if len(contents) > MAX_BYTES:
        raise ValueError(f"a set of keys of more than {MAX_BYTES} bytes")
    try:
        document = json.loads(contents)
    except (ValueError, RecursionError):
        raise ValueError("no JSON document") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("no set of keys (JWKS): an object with 'keys', a list")
    if len(entries) > MAX_KEYS:
        raise ValueError(f"a set of more than {MAX_KEYS} keys")
    keys = tuple(key for each in entries if (key := _parse_key(each)) is not None)
    if not keys:
        raise ValueError("no key in the set can verify signatures")
    return KeySet(keys, len(entries) - len(keys))


def _parse_key(entry: Any) -> IssuerKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    kid = entry.get("kid")
    if kid is not None and not isinstance(kid, str):
        return None
    parse = _PARSERS.get(str(entry.get("kty")))
    # A private key in public is nobody's any more.
    if parse is None or "d" in entry:
        return None
    try:
        key: Any = parse(entry)
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    algorithms = _algorithms_of(key)
    if "alg" in entry:
        algorithms &= {entry["alg"]} if isinstance(entry["alg"], str) else set()
    return IssuerKey(kid, algorithms, key) if algorithms else None


_PARSERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}


def _algorithms_of(key: Any) -> frozenset[str]:
    if isinstance(key, RSAPublicKey):
        fits = MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
        return frozenset(RSA_ALGORITHMS) if fits else frozenset()
    if isinstance(key, EllipticCurvePublicKey):
        algorithm = CURVES.get(key.curve.name)
        return frozenset([algorithm]) if algorithm else frozenset()
    if isinstance(key, Ed25519PublicKey | Ed448PublicKey):
        return frozenset(["EdDSA"])
    return frozenset()
