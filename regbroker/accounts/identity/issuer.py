"""
An issuer, asked for its keys: OpenID Connect Discovery 1.0, then its JWK set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from regbroker.accounts.identity.keys import KeySet, parse_key_set
from regbroker.protocol.urls import parse_url

_DISCOVERY = "/.well-known/openid-configuration"

#: How long keys count that come without ``Cache-Control``, and the bounds of what it
#: may say: an issuer that takes a key back wants that to count within the hour.
KEYS_SECONDS = 600.0
MIN_KEYS_SECONDS = 60.0
MAX_KEYS_SECONDS = 3600.0


class IssuerFailed(Exception):
    """An issuer gives no keys now; the text says why, for the log."""


@dataclass(frozen=True)
class Fetched:
    """A document that a server has sent; `cache_control` may be empty."""

    status: int
    body: bytes
    cache_control: str = ""


#: Gets a URL; raises `IssuerFailed`, also where its host may not be asked.
Fetch = Callable[[str], Coroutine[Any, Any, Fetched]]


@dataclass(frozen=True)
class FetchedKeys:
    """Keys, and for how many seconds they count."""

    keys: KeySet
    seconds: float


class Issuer:
    """
    Asks one issuer; `keys_url` is where its keys are, None for what discovery says.
    """

    def __init__(self, issuer: str, keys_url: str | None, fetch: Fetch) -> None:
        self._issuer = issuer
        self._keys_url = keys_url
        self._fetch = fetch

    async def keys(self) -> FetchedKeys:
        """Return the issuer's keys now; raises `IssuerFailed`."""
        url = self._keys_url or await self._discovered()
        fetched = await self._get(url)
        try:
            keys = parse_key_set(fetched.body)
        except ValueError as error:
            raise IssuerFailed(f"{url}: {error}") from None
        return FetchedKeys(keys, lifetime(fetched.cache_control))

    async def _discovered(self) -> str:
        url = self._issuer.rstrip("/") + _DISCOVERY
        fetched = await self._get(url)
        try:
            document = json.loads(fetched.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise IssuerFailed(f"{url}: no JSON object")
        if document.get("issuer") != self._issuer:
            # Discovery, 4.3: it must be identical.
            raise IssuerFailed(
                f"{url}: it is for the issuer {str(document.get('issuer'))[:200]!r}; "
                "if that is right, write issuer exactly so"
            )
        keys_url = document.get("jwks_uri")
        place = parse_url(keys_url) if isinstance(keys_url, str) else None
        if place is None or place.origin.scheme != "https":
            raise IssuerFailed(f"{url}: its jwks_uri is no https URL")
        return str(place)

    async def _get(self, url: str) -> Fetched:
        fetched = await self._fetch(url)
        if fetched.status != 200:
            raise IssuerFailed(f"{url}: it answers with status {fetched.status}")
        return fetched


def lifetime(cache_control: str) -> float:
    """Return for how many seconds keys count, by the ``Cache-Control`` they had."""
    match = re.search(r"(?:^|[\s,])max-age\s*=\s*\"?([0-9]{1,9})", cache_control, re.I)
    if match is None:
        return KEYS_SECONDS
    return min(max(float(match[1]), MIN_KEYS_SECONDS), MAX_KEYS_SECONDS)
