"""
Composite tokens: the tokens of several upstreams, in one that a client can hold.

A client holds one token for a request whose scopes may lead to several upstreams, and
each upstream knows only its own. So the broker of a registry with several upstreams
issues a composite token. The relay takes the token of each upstream out of it. No state
is kept: every machine with the same configuration can read it.

The upstreams check the tokens in it, so anybody may put them together.
But that a token service did not answer is our own statement, and because of it another
upstream is asked first. So this statement is sealed, and good for a minute. A machine
that does not know the seal asks in the usual order. Each token stands under a hash of
its upstream's section name, since clients need not know the name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

_PREFIX = "rb1."

#: Of the hash of a name: enough to tell the upstreams of one registry apart.
_KEY_LENGTH = 12

#: How long it is believed that a token service did not answer.
UNAVAILABLE_SECONDS = 60.0

_TOKEN = re.compile("[!-~]+")

#: Clients come with the same token again and again, and each request asks it several
#: times. Longer ones are taken apart each time.
MAX_REMEMBERED = 64
MAX_REMEMBERED_TOKEN = 16 * 1024

#: Names of upstreams are few.
MAX_REMEMBERED_NAMES = 256


class CompositeTokens:
    """
    Makes composite tokens, and reads them.

    `seal_key` is any secret; `now` returns seconds since 1970.
    """

    def __init__(self, seal_key: bytes, now: Callable[[], float]) -> None:
        self._seal_key = seal_key
        self._now = now

    def write(
        self,
        tokens: Mapping[str, str],
        unavailable: Mapping[str, tuple[int, float]] | None = None,
    ) -> str:
        """
        Return the composite token of `tokens`, which are by upstream.

        `unavailable` has the upstreams whose token service did not answer, each with
        the status that says why, and for how many seconds that will be so. Then the
        missing token says nothing about the client's rights.
        """
        document: dict[str, object] = {
            "t": {_key(upstream): token for upstream, token in tokens.items()}
        }
        missing = {
            _key(upstream): [status, int(self._now() + seconds)]
            for upstream, (status, seconds) in (unavailable or {}).items()
        }
        if missing:
            until = int(self._now() + UNAVAILABLE_SECONDS)
            document["u"] = [self._seal(until, missing), until, missing]
        text = json.dumps(document, separators=(",", ":")).encode("ascii")
        return _PREFIX + base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")

    def unavailable(self, token: str, upstream: str) -> tuple[int, float] | None:
        """
        Return why a composite token has no token for an upstream, if it says why.

        That is the status of the token service, and for how many seconds it will stay
        so, 0 when they are over.
        """
        document = _parse(token)
        match document and document.get("u"):
            case [str(seal), int(until), dict(missing)] if (
                until > self._now() and self._is_sealed(seal, until, missing)
            ):
                status, ends = missing.get(_key(upstream), (0, 0))
                return (status, max(ends - self._now(), 0.0)) if status else None
        return None

    def _is_sealed(self, seal: str, until: int, missing: dict[str, Any]) -> bool:
        expected = self._seal(until, missing).encode()
        return hmac.compare_digest(seal.encode("utf-8", "replace"), expected)

    def _seal(self, until: int, missing: dict[str, Any]) -> str:
        text = json.dumps([until, missing], sort_keys=True).encode("ascii")
        return hmac.digest(self._seal_key, text, hashlib.sha256).hex()


def token_for(token: str, upstream: str) -> str | None:
    """Return the token for an upstream out of a composite token, or None."""
    document = _parse(token)
    part: str | None = document["t"].get(_key(upstream)) if document else None
    return part


def is_composite(token: str) -> bool:
    """Tell whether a token has the form of a composite token."""
    return token.startswith(_PREFIX)


def _parse(token: str) -> Mapping[str, Any] | None:
    if not is_composite(token):
        return None
    if len(token) > MAX_REMEMBERED_TOKEN:
        return _taken_apart(token)
    return _remembered(token)


def _taken_apart(token: str) -> Mapping[str, Any] | None:
    """Return what a token says, with those tokens in "t" that may be sent on."""
    encoded = token.removeprefix(_PREFIX)
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        document = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    tokens = document.get("t")
    given = tokens.items() if isinstance(tokens, dict) else ()
    # Each goes into a header.
    document["t"] = {
        key: part
        for key, part in given
        if isinstance(part, str) and _TOKEN.fullmatch(part)
    }
    return document


_remembered = lru_cache(MAX_REMEMBERED)(_taken_apart)


@lru_cache(MAX_REMEMBERED_NAMES)
def _key(upstream: str) -> str:
    return hashlib.sha256(upstream.encode()).hexdigest()[:_KEY_LENGTH]
