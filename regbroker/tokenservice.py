"""
An upstream's token service, asked over HTTP.

`treq` on an `Agent`: replies are small documents, and treq knows forms,
encodings and bounds. What it does beyond that is kept from it: it follows no
redirect, and its cookies end with each call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import treq
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.web.client import Agent, HTTPConnectionPool, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from regbroker.connections import converted_error, was_cancelled
from regbroker.errors import UpstreamMalformed
from regbroker.grants import (
    MAX_REPLY_BYTES,
    TokenRequest,
    basic_authorization,
    get_query,
    post_form,
)
from regbroker.origins import parse_origin
from regbroker.realms import Realm
from regbroker.scopes import Scope
from regbroker.tls import Trust
from regbroker.upstreams import USER_AGENT


@dataclass(frozen=True)
class TokenReply:
    """What a token service has answered; `body` is at most `MAX_REPLY_BYTES`."""

    status: int
    headers: Headers
    body: bytes


class TokenService:
    """
    Asks token services, over connections that are kept.

    `clock` is the reactor; `connect_timeout` is in seconds.
    """

    def __init__(self, trust: Trust, connect_timeout: float, clock: Any) -> None:
        pool = HTTPConnectionPool(clock)
        # Twisted's own factory logs two lines for each connection.
        quiet: Any = type("_QuietFactory", (pool._factory,), {"noisy": False})
        pool._factory = quiet
        pool.maxPersistentPerHost = 8
        pool.cachedConnectionTimeout = 30
        endpoints = _Endpoints(trust, connect_timeout, clock)
        self._agent: IAgent = Agent.usingEndpointFactory(clock, endpoints, pool)
        self._pool = pool

    def close(self) -> Deferred[Any]:
        """Close the kept connections; fires when they are closed."""
        closing: Deferred[Any] = self._pool.closeCachedConnections()
        return closing

    async def get(
        self,
        realm: Realm,
        request: TokenRequest,
        service: str,
        scopes: tuple[Scope, ...],
    ) -> TokenReply:
        """Ask with GET and Basic; raises `UpstreamError`."""
        query = get_query(request, service, scopes)
        separator = "&" if "?" in realm.target else "?"
        headers = {}
        if request.username:
            headers[b"Authorization"] = [basic_authorization(request)]
        url = f"{realm}{separator}{query}" if query else str(realm)
        return await self._ask("GET", realm, url, headers, None)

    async def post(
        self,
        realm: Realm,
        request: TokenRequest,
        service: str,
        scopes: tuple[Scope, ...],
    ) -> TokenReply:
        """Ask with an OAuth2 form; raises `UpstreamError`."""
        form = post_form(request, service, scopes).encode("ascii")
        headers = {b"Content-Type": [b"application/x-www-form-urlencoded"]}
        return await self._ask("POST", realm, str(realm), headers, form)

    async def _ask(
        self,
        method: str,
        realm: Realm,
        url: str,
        headers: dict[bytes, list[bytes]],
        form: bytes | None,
    ) -> TokenReply:
        wire_headers = Headers({USER_AGENT[0]: [USER_AGENT[1]], **headers})

        async def once() -> TokenReply:
            # A client of its own for each call: treq keeps cookies on it.
            response = await HTTPClient(self._agent).request(
                method,
                url,
                headers=wire_headers,
                data=form,
                allow_redirects=False,
                unbuffered=True,
            )
            body = await _read_bounded(response)
            return TokenReply(response.code, response.headers, body)

        try:
            try:
                return await once()
            except ResponseNeverReceived as error:
                # A kept connection that the token service has closed. Twisted
                # sees to it for GET; asking twice for a token harms nobody.
                if was_cancelled(error):
                    raise
                return await once()
        except Exception as error:
            what = "the upstream's token service"
            raise converted_error(error, realm.origin, what) from error


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Gives the agent endpoints whose TLS options are made once."""

    def __init__(self, trust: Trust, connect_timeout: float, clock: Any) -> None:
        self._trust = trust
        self._connect_timeout = connect_timeout
        self._clock = clock

    def endpointForURI(self, uri: Any) -> Any:
        host = uri.host.decode("ascii")
        authority = f"[{host}]:{uri.port}" if ":" in host else f"{host}:{uri.port}"
        origin = parse_origin(uri.scheme.decode("ascii"), authority)
        if origin is None:
            raise UpstreamMalformed("the token service's address is no URL")
        return self._trust.endpoint(self._clock, origin, self._connect_timeout)


async def _read_bounded(response: Any) -> bytes:
    chunks: list[bytes] = []
    size = 0

    def collect(data: bytes) -> None:
        nonlocal size
        size += len(data)
        if size > MAX_REPLY_BYTES:
            raise UpstreamMalformed(
                f"the upstream's token service sent more than {MAX_REPLY_BYTES} bytes"
            )
        chunks.append(data)

    await treq.collect(response, collect)
    return b"".join(chunks)
