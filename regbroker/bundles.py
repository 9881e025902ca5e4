"""
Bundles: the tokens of several upstreams, in one that a client can hold.

A client holds one token for a request whose scopes may lead to several upstreams,
and each upstream knows only its own. So the broker of a registry with several
upstreams gives out a bundle, and the relay takes out of it what each upstream
is to be told. No state is kept: every machine with the same configuration can read
it.

A bundle is no secret beside the tokens in it, and proves nothing: whoever forges
one brings the upstreams nothing that they would take. Upstreams stand in it by a
hash of their section's name, since clients need not know it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_PREFIX = "rb1."

#: Of the hash of a name: enough to tell the upstreams of one registry apart.
_KEY_LENGTH = 12

_TOKEN = re.compile("[!-~]+")


@dataclass(frozen=True)
class Bundle:
    """
    Tokens of several upstreams.

    `unavailable` are those whose token service did not answer when the bundle
    was made: that there is no token says nothing about the client's rights then.
    """

    _tokens: Mapping[str, str] = field(repr=False)
    _unavailable: frozenset[str] = frozenset()

    def token(self, upstream: str) -> str | None:
        """Return the token for an upstream, or None."""
        return self._tokens.get(_key(upstream))

    def is_unavailable(self, upstream: str) -> bool:
        """Tell whether the upstream's token service did not answer."""
        return _key(upstream) in self._unavailable


def format_bundle(tokens: Mapping[str, str], unavailable: Iterable[str] = ()) -> str:
    """Return a bundle of tokens, given by upstream, as one token."""
    document: dict[str, object] = {
        "t": {_key(upstream): token for upstream, token in tokens.items()}
    }
    missing = sorted(_key(upstream) for upstream in unavailable)
    if missing:
        document["u"] = missing
    text = json.dumps(document, separators=(",", ":")).encode("ascii")
    return _PREFIX + base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")


def parse_bundle(token: str) -> Bundle | None:
    """Return the bundle in a token; None for what is none."""
    if not token.startswith(_PREFIX):
        return None
    encoded = token.removeprefix(_PREFIX)
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        document = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    tokens = document.get("t") if isinstance(document, dict) else None
    unavailable = document.get("u", []) if isinstance(document, dict) else None
    if not isinstance(tokens, dict) or not isinstance(unavailable, list):
        return None
    # They go into a header.
    if not all(isinstance(t, str) and _TOKEN.fullmatch(t) for t in tokens.values()):
        return None
    if not all(isinstance(key, str) for key in unavailable):
        return None
    return Bundle(tokens, frozenset(unavailable))


def _key(upstream: str) -> str:
    return hashlib.sha256(upstream.encode()).hexdigest()[:_KEY_LENGTH]
