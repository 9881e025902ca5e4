"""
How requests came: what their connection says, and what trusted proxies do.

Many requests come from one address for the same host. So that is worked out once for
each peer and Host, and once more for each client that a trusted proxy tells of, with
what follows from it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

from regbroker.errors import BadRequest
from regbroker.protocol.header_list import ReceivedHeaders
from regbroker.protocol.headers import (
    Forwarded,
    Network,
    came_directly,
    is_request_id,
    is_trusted,
    parse_forwarded,
)
from regbroker.transport.server.client_connection import ClientConnection

T = TypeVar("T")

#: Peers, and hosts that they asked for, that came last. A name of DNS has 253
#: characters at most.
MAX_REMEMBERED = 1024
MAX_REMEMBERED_HOST = 260

#: What a proxy says of one client, with a host and a chain of some addresses.
MAX_REMEMBERED_CLAIMS = 400

#: What trusted proxies say of a request's way, and what they call the request.
_CLAIMS = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
CLAIMED_ID = b"x-request-id"


class Arrivals(Generic[T]):
    """
    Says how requests came, where peers in the `trusted` networks are believed.

    `conclude` makes of that what is remembered with it.
    """

    def __init__(
        self, trusted: tuple[Network, ...], conclude: Callable[[Forwarded], T]
    ) -> None:
        self._trusted = trusted
        self._conclude = conclude
        self._is_trusted = lru_cache(MAX_REMEMBERED)(
            lambda peer: is_trusted(peer, trusted)
        )
        self._remembered = lru_cache(MAX_REMEMBERED)(self._directly)
        self._remembered_claims = lru_cache(MAX_REMEMBERED)(self._claimed)

    def conclusion(self, connection: ClientConnection, headers: ReceivedHeaders) -> T:
        """Return what follows from how a request came; `BadRequest` without a Host."""
        host = headers.by_name.get(b"host")
        if host is None:
            raise BadRequest("a request has one Host header")
        is_long = len(host) > MAX_REMEMBERED_HOST
        if not self._is_trusted(connection.peer):
            return (self._directly if is_long else self._remembered)(connection, host)
        claims = tuple([_claim(headers, name) for name in _CLAIMS])
        is_long = is_long or sum(map(len, claims)) > MAX_REMEMBERED_CLAIMS
        claimed = self._claimed if is_long else self._remembered_claims
        return claimed(connection, host, claims)

    def _directly(self, connection: ClientConnection, host: bytes) -> T:
        """Return what follows for a request with this Host over a connection."""
        return self._conclude(
            came_directly(connection.peer, connection.is_secure, _text(host))
        )

    def _claimed(
        self, connection: ClientConnection, host: bytes, claims: tuple[str, ...]
    ) -> T:
        """Return what follows for a request with the claims of a trusted proxy."""
        named = {
            name.decode(): claim for name, claim in zip(_CLAIMS, claims, strict=True)
        }
        return self._conclude(
            parse_forwarded(
                connection.peer, connection.is_secure, _text(host), named, self._trusted
            )
        )

    def request_id(
        self, connection: ClientConnection, headers: ReceivedHeaders
    ) -> str | None:
        """Return the id that a trusted proxy has given a request, if it makes sense."""
        if not self._is_trusted(connection.peer):
            return None
        claimed = _claim(headers, CLAIMED_ID)
        return claimed if is_request_id(claimed) else None


def _text(host: bytes) -> str:
    return host.decode("latin-1").strip()


def _claim(headers: ReceivedHeaders, name: bytes) -> str:
    """Return what all headers of one name say together; nothing without one."""
    if name not in headers.by_name:
        return ""
    return b", ".join(headers.all(name)).decode("latin-1")
