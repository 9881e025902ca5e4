"""
JWTs as they come: what has the form of one, and what it says of itself, unverified.

Nothing here is to be believed. It decides who looks at a text, and which key is tried.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from regbroker.accounts.tokens import OWN_ISSUER

#: Azure's, with 200 groups, have 8 KiB; Kubernetes' have 2. A header has to hold it.
MAX_LENGTH = 32 * 1024

#: How deep values may lie in each other: Kubernetes' lie three levels deep. Whoever
#: goes through them need not fear for the stack.
MAX_DEPTH = 20

_FORM = re.compile(
    r"(?P<header>[A-Za-z0-9_-]+)\.(?P<claims>[A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*"
)


@dataclass(frozen=True)
class Unverified:
    """What a JWT says of itself."""

    header: dict[str, Any]
    claims: dict[str, Any]

    @property
    def issuer(self) -> str:
        """Its ``iss``; empty where that is no text."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""


def parse_unverified(text: str) -> Unverified | None:
    """Return what a JWT says of itself; None for all that is none, and for our own."""
    unverified = _parse(text)
    if unverified is None or unverified.issuer.startswith(OWN_ISSUER):
        return None
    return unverified


def is_ours(text: str) -> bool:
    """Tell whether a JWT says that it is one of our own."""
    unverified = _parse(text)
    return unverified is not None and unverified.issuer.startswith(OWN_ISSUER)


def _parse(text: str) -> Unverified | None:
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    header, claims = _object(match["header"]), _object(match["claims"])
    if header is None or claims is None:
        return None
    return Unverified(header, claims)


def parse_jwt_object(encoded: bytes) -> dict[str, Any] | None:
    """
    Return a JSON object as JWTs have it; None for what is none.

    Two members of one name are none (RFC 7519, 4): who takes the first one would see
    somebody else.
    """
    try:
        document = _decoder.decode(encoded.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    # Who has no brackets need not be looked through.
    brackets = encoded.count(b"{") + encoded.count(b"[")
    if brackets > MAX_DEPTH and _is_deep(document):
        return None
    return document if isinstance(document, dict) else None


def _object(encoded: str) -> dict[str, Any] | None:
    try:
        decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        return None
    return parse_jwt_object(decoded)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("two members of one name")
    return members


def _no_number(text: str) -> None:
    raise ValueError("a number that JSON has not")


_decoder = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_number)


def _is_deep(document: object) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)
