"""
User and password in an Authorization header.

Source: RFC 7617 (the Basic scheme).
"""

from __future__ import annotations

import base64
import binascii

from regbroker.errors import BadRequest


def parse_basic(authorization: str) -> tuple[str, str] | None:
    """Return user and password of Basic credentials; None for other schemes."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("the Basic credentials are not base64") from None
    user, colon, password = decoded.decode("utf-8", "surrogateescape").partition(":")
    if not colon:
        raise BadRequest("the Basic credentials have no colon")
    if password and not user:
        raise BadRequest("the Basic credentials have a password, but no user name")
    return user, password


def format_basic(user: str, password: str) -> bytes:
    """Return the Authorization header that shows a user's password."""
    credentials = f"{user}:{password}"
    return b"Basic " + base64.b64encode(credentials.encode("utf-8", "surrogateescape"))
