"""
Token replies, as token services and clients write and read them.

Source: distribution's ``docs/content/spec/auth/token.md`` and ``oauth.md``; RFC 8693,
2.2.1 (the reply to an exchange).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from regbroker.errors import UpstreamMalformed
from regbroker.protocol.bodies import parse_object
from regbroker.protocol.token_requests import ACCESS_TOKEN_TYPE

#: crane reads no more of a reply.
MAX_REPLY_BYTES = 64 * 1024

#: What a token lives when its reply does not say, and what clients take for
#: the least that any token lives.
MIN_LIFE_SECONDS = 60

_encode = json.JSONEncoder().encode

_MAX_LIFE_SECONDS = 10 * 365 * 86400


@dataclass(frozen=True)
class IssuedToken:
    """
    A token that a token service has given: printable ASCII without spaces.

    `expires`, and `received`, when it came, are in seconds on the clock that
    `parse_reply` was given. `scope` is None when the reply did not say; else it holds
    upstream names.
    """

    token: str = field(repr=False)
    expires: float
    scope: str | None = None
    refresh_token: str = field(default="", repr=False)
    received: float = 0.0


def parse_reply(body: bytes, now: float) -> IssuedToken:
    """
    Parse a token service's reply; `now` is the time in seconds since 1970.

    A token without a believable life is taken to live `MIN_LIFE_SECONDS`.
    Raises `UpstreamMalformed`.
    """
    document = parse_object(body)
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not re.fullmatch("[!-~]+", token):
        raise UpstreamMalformed("the upstream's token service sent no token")
    life = document.get("expires_in")
    if not isinstance(life, int | float) or not 0 < life < _MAX_LIFE_SECONDS:
        life = MIN_LIFE_SECONDS
    expires = min(_issued(document.get("issued_at"), now), now) + max(
        life, MIN_LIFE_SECONDS
    )
    scope = document.get("scope")
    refresh_token = document.get("refresh_token")
    return IssuedToken(
        token,
        # A token service whose clock is behind would have all its tokens
        # expired on arrival.
        max(expires, now + MIN_LIFE_SECONDS),
        scope if isinstance(scope, str) else None,
        refresh_token if isinstance(refresh_token, str) else "",
        now,
    )


def _issued(text: Any, now: float) -> float:
    if isinstance(text, str):
        # Fractions of nanoseconds, which Go writes, are beyond fromisoformat.
        head, dot, tail = text.strip().partition(".")
        zone = tail.lstrip("0123456789") if dot else ""
        try:
            issued = datetime.fromisoformat((head + zone).replace("Z", "+00:00"))
        except ValueError:
            return now
        return issued.replace(tzinfo=issued.tzinfo or timezone.utc).timestamp()
    return now


@lru_cache(maxsize=1)
def _iso_time(seconds: int) -> str:
    issued = datetime.fromtimestamp(seconds, timezone.utc)
    return issued.isoformat().replace("+00:00", "Z")


def format_reply(
    grant: IssuedToken,
    scope: str | None,
    method: str,
    now: float,
    is_exchange: bool = False,
) -> bytes:
    """
    Return the reply for a client; `scope` holds public names.

    That of an exchange has what RFC 8693, 2.2.1, wants beside it.

    ``issued_at`` and ``expires_in`` are set so that a client that adds them
    finds the true end, and one that counts from now does not get beyond it.
    """
    # Clients of the registry's own protocol take less for an error.
    least = 1 if is_exchange else MIN_LIFE_SECONDS
    seconds = max(int(grant.expires - now), least)
    token = _quoted(grant.token)
    rest = f'"expires_in": {seconds}, "issued_at": "{_iso_time(int(now))}"'
    if is_exchange:
        rest += f', "issued_token_type": "{ACCESS_TOKEN_TYPE}", "token_type": "Bearer"'
    if scope is not None:
        rest += f', "scope": {_encode(scope)}'
    if grant.refresh_token:
        rest += f', "refresh_token": {_encode(grant.refresh_token)}'
    # The token stands twice for clients that read only one of the names.
    body = f'{{"token": {token}, "access_token": {token}, {rest}}}\n'
    if len(body) > MAX_REPLY_BYTES:
        name = "access_token" if method == "POST" else "token"
        body = f'{{"{name}": {token}, {rest}}}\n'
    if len(body) > MAX_REPLY_BYTES:
        raise UpstreamMalformed(
            f"the upstream's token does not fit into {MAX_REPLY_BYTES} bytes"
        )
    return body.encode("ascii")


def _quoted(token: str) -> str:
    """Return a token as JSON: a JWT, and nearly any other one, as it is."""
    if '"' in token or "\\" in token:
        return _encode(token)
    return f'"{token}"'
