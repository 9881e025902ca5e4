"""Tokens as the Distribution project defines them: a JWT with its certificate."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from .certificates import Pair

CLOCK_SKEW = 60
P256_BYTES = 32


def sign_token(
    signer: Pair,
    *,
    issuer: str,
    audience: str,
    subject: str,
    lifetime: int,
    access: Sequence[dict[str, Any]],
) -> str:
    """An ES256 token, good for `lifetime` seconds, with `signer` as its `x5c`."""
    now = int(time.time())
    header = {
        "typ": "JWT",
        "alg": "ES256",
        "x5c": [base64.b64encode(signer.certificate_der()).decode()],
    }
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "iat": now,
        "nbf": now - CLOCK_SKEW,
        "exp": now + lifetime,
        "jti": secrets.token_hex(8),
        "access": list(access),
    }
    signed = f"{_part(header)}.{_part(claims)}"
    der = signer.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = utils.decode_dss_signature(der)
    signature = r.to_bytes(P256_BYTES, "big") + s.to_bytes(P256_BYTES, "big")
    return f"{signed}.{_base64url(signature)}"


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, unverified."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    )
    return claims


def _part(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
