"""
Web pages of other origins: which may use a registry, and what they may see.

The rules are the Fetch standard's, "CORS protocol". A browser keeps a reply from
a page of another origin unless the reply allows that origin, and shows it no
header beyond the plainest unless the reply exposes it. Before a request that no
HTML form could make it asks with OPTIONS, a preflight, without credentials.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from regbroker.protocol.header_table import Direction, names_for
from regbroker.protocol.headers import Header
from regbroker.protocol.origins import parse_origin

#: In place of the list of origins: every page, but none with the credentials
#: that a browser keeps for this host.
ANY = "*"

#: How long a browser may keep the answer to a preflight. Chromium takes no more.
MAX_AGE_SECONDS = 7200

#: What the registry API and its web front ends send, and what the API says in headers.
REQUEST_HEADERS = names_for(Direction.PAGE_SENDS)
REPLY_HEADERS = names_for(Direction.PAGE_SEES)

#: Also on what allows nobody: a cache may not show it to those who are allowed.
_VARY = (b"Vary", b"Origin")

_ORIGIN = re.compile(r"([A-Za-z]+)://([^/?#]+)")


def allowed_origin(allowed: Sequence[str], origins: Sequence[str]) -> str | None:
    """
    Return the origin that a reply is to allow; None for none.

    `allowed` are origins as `regbroker.protocol.origins.Origin` writes them, or `ANY`
    alone; `origins` are a request's ``Origin`` headers. ``null``, which is what
    sandboxed pages and local files call themselves, is nobody's name.
    """
    if len(origins) != 1:
        return None
    if ANY in allowed:
        return ANY
    match = _ORIGIN.fullmatch(origins[0])
    origin = match and parse_origin(match[1], match[2])
    return str(origin) if origin and str(origin) in allowed else None


def is_preflight(method: str, wanted_method: str | None) -> bool:
    """Tell whether a browser asks; `wanted_method` is Access-Control-Request-Method."""
    return method == "OPTIONS" and wanted_method is not None


def preflight_headers(origin: str, methods: str) -> list[Header]:
    """Return the answer to a preflight of an origin that is allowed."""
    return [
        *_allowing(origin),
        (b"Access-Control-Allow-Methods", methods.encode()),
        (b"Access-Control-Allow-Headers", ", ".join(REQUEST_HEADERS).encode()),
        (b"Access-Control-Max-Age", b"%d" % MAX_AGE_SECONDS),
    ]


def reply_headers(origin: str | None) -> list[Header]:
    """Return what any other reply says; None for an origin that is not allowed."""
    if origin is None:
        return [_VARY]
    return [
        *_allowing(origin),
        (b"Access-Control-Expose-Headers", ", ".join(REPLY_HEADERS).encode()),
    ]


def _allowing(origin: str) -> list[Header]:
    headers = [(b"Access-Control-Allow-Origin", origin.encode()), _VARY]
    if origin != ANY:
        headers.append((b"Access-Control-Allow-Credentials", b"true"))
    return headers
