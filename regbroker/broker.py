"""
The broker: what a client may have from the upstream's token service.

A token request comes in with public names and goes out with upstream ones.
The upstream is asked once for all who ask the same at the same moment, and not
at all while a token is at hand that it has given for the same credentials and
scopes. Credentials are not kept: only a hash of them, keyed with a key that
lives as long as the process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import treq
from treq.client import HTTPClient
from twisted.internet.defer import TimeoutError
from twisted.web.client import Agent, HTTPConnectionPool, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from regbroker.bodies import Wording, error_body
from regbroker.coalescing import Coalescer
from regbroker.connections import converted_error, was_cancelled
from regbroker.errors import (
    NameUnknown,
    UpstreamMalformed,
    UpstreamRefused,
    UpstreamTimeout,
)
from regbroker.grants import (
    MAX_REPLY_BYTES,
    MIN_LIFE_SECONDS,
    Grant,
    TokenRequest,
    basic_authorization,
    format_reply,
    get_query,
    parse_reply,
    post_form,
)
from regbroker.mapping import Mapping
from regbroker.names import check_name
from regbroker.realms import Realm
from regbroker.redirects import parse_origin
from regbroker.scopes import Scope, format_scopes, parse_scopes
from regbroker.upstreams import USER_AGENT, Knowledge, Upstream

#: docker gives its token request 15 s.
TOKEN_SECONDS = 13.0

#: Tokens kept, and their bytes: a token is 1 to 2 KiB, 16 KiB in some clouds.
MAX_CACHED_TOKENS = 8192
MAX_CACHED_BYTES = 32 * 1024 * 1024

#: Whose token it is is remembered for this many tokens, for the log.
MAX_REMEMBERED_USERS = 16384

#: Statuses with which registries say that they take no POST: Google 404,
#: Artifactory 401, Azure 400; 405 is what the specification means.
_POST_REFUSED = (400, 401, 404, 405)


class TokenCache:
    """
    Tokens that are still good, by who may have them; bounded.

    The least recently used token leaves first. `now` returns seconds since
    1970.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._grants: OrderedDict[Hashable, Grant] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._grants)

    def get(self, key: Hashable) -> Grant | None:
        """
        Return a token that lives for another minute at least.

        Clients take any token to live that long, whatever they are told.
        """
        grant = self._grants.get(key)
        if grant is None:
            return None
        if grant.expires - self._now() < MIN_LIFE_SECONDS:
            self._drop(key)
            return None
        self._grants.move_to_end(key)
        return grant

    def put(self, key: Hashable, grant: Grant) -> None:
        """Keep a token; one that comes with a refresh token is never kept."""
        if grant.refresh_token:
            return
        self._drop(key)
        self._grants[key] = grant
        self._bytes += len(grant.token)
        while len(self._grants) > MAX_CACHED_TOKENS or self._bytes > MAX_CACHED_BYTES:
            self._drop(next(iter(self._grants)))

    def _drop(self, key: Hashable) -> None:
        grant = self._grants.pop(key, None)
        if grant is not None:
            self._bytes -= len(grant.token)


class Broker:
    """
    The token service of one registry, for its upstream's tokens.

    `clock` is the reactor; `now` returns seconds since 1970.
    """

    def __init__(
        self,
        upstream: Upstream,
        mapping: Mapping,
        clock: Any,
        now: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._mapping = mapping
        self._now = now
        self._agent = _token_agent(upstream, clock)
        self._cache = TokenCache(now)
        self._exchanges: Coalescer[Grant] = Coalescer(clock, TOKEN_SECONDS)
        self._key = secrets.token_bytes(32)
        self._users: OrderedDict[bytes, str] = OrderedDict()

    def close(self) -> None:
        """End the exchanges that are under way."""
        self._exchanges.cancel()

    async def grant(self, request: TokenRequest, public_host: str) -> bytes:
        """
        Return the reply to a token request, JSON with public names.

        Raises `NameUnknown` when nothing that was asked for is served here,
        `UpstreamRefused` with what the token service says, and other
        `UpstreamError`s.
        """
        scopes = self._upstream_scopes(request.scopes, public_host)
        known = await self._upstream.knowledge()
        if known.realm is None:
            raise UpstreamMalformed(
                "the upstream registry has no token service that may be used"
                if known.problem
                else "the upstream registry issues no tokens"
            )
        key = self._cache_key(request, known, scopes)
        grant = self._cache.get(key)
        if grant is None:
            grant = await self._exchange_once(key, request, known, scopes, public_host)
        self._remember_user(grant.token, request.user)
        return format_reply(
            grant, self._public_scope(grant, request), request.method, self._now()
        )

    def user_of(self, token: str) -> str:
        """Return who was given a token here; empty when that is not known."""
        return self._users.get(self._hash(token.encode()), "")

    async def _exchange_once(
        self,
        key: Hashable,
        request: TokenRequest,
        known: Knowledge,
        scopes: tuple[Scope, ...],
        public_host: str,
    ) -> Grant:
        async def work() -> Grant:
            grant = await self._exchange(request, known, scopes, public_host)
            self._cache.put(key, grant)
            return grant

        try:
            return await self._exchanges.run(key, work)
        except TimeoutError as error:
            raise UpstreamTimeout(
                "the upstream's token service did not answer in time"
            ) from error

    async def _exchange(
        self,
        request: TokenRequest,
        known: Knowledge,
        scopes: tuple[Scope, ...],
        public_host: str,
    ) -> Grant:
        realm = known.realm
        assert realm is not None
        service = known.service or request.service
        if request.method == "POST":
            form = post_form(request, service, scopes)
            status, headers, body = await self._ask("POST", realm, str(realm), {}, form)
            if status not in _POST_REFUSED or not request.username:
                return self._granted(status, headers, body, scopes, public_host)
        query = get_query(request, service, scopes)
        separator = "&" if "?" in realm.target else "?"
        url = f"{realm}{separator}{query}" if query else str(realm)
        credentials = {}
        if request.username:
            credentials[b"Authorization"] = [basic_authorization(request)]
        status, headers, body = await self._ask("GET", realm, url, credentials, None)
        return self._granted(status, headers, body, scopes, public_host)

    async def _ask(
        self,
        method: str,
        realm: Realm,
        url: str,
        headers: dict[bytes, list[bytes]],
        form: str | None,
    ) -> tuple[int, Headers, bytes]:
        wire_headers = Headers({USER_AGENT[0]: [USER_AGENT[1]], **headers})
        if form is not None:
            wire_headers.setRawHeaders(
                b"Content-Type", [b"application/x-www-form-urlencoded"]
            )

        async def once() -> tuple[int, Headers, bytes]:
            # A client of its own for each call: treq keeps cookies on it.
            response = await HTTPClient(self._agent).request(
                method,
                url,
                headers=wire_headers,
                data=None if form is None else form.encode("ascii"),
                allow_redirects=False,
                unbuffered=True,
            )
            return response.code, response.headers, await _read_bounded(response)

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
            raise converted_error(error, realm.origin) from error

    def _granted(
        self,
        status: int,
        headers: Headers,
        body: bytes,
        scopes: tuple[Scope, ...],
        public_host: str,
    ) -> Grant:
        if 200 <= status < 300:
            return parse_reply(body, self._now())
        if status < 400:
            raise UpstreamMalformed(
                f"the upstream's token service answered with status {status}"
            )
        wording = Wording(self._known_names(scopes), self._mapping.to_public)
        passed_on = [
            (name, value)
            for name in (b"Retry-After",)
            for value in headers.getRawHeaders(name, ())
        ]
        if status == 401:
            passed_on.append(
                (b"WWW-Authenticate", b'Basic realm="%b"' % public_host.encode())
            )
        raise UpstreamRefused(status, error_body(status, body, wording), passed_on)

    def _upstream_scopes(
        self, scopes: tuple[Scope, ...], public_host: str
    ) -> tuple[Scope, ...]:
        """
        Return the scopes with upstream names.

        What no rule maps is left out, as a token service leaves out what it
        does not grant; when nothing is left, the client is told.
        """
        mapped: list[Scope] = []
        refused: NameUnknown | None = None
        for scope in scopes:
            if not scope.is_repository:
                mapped.append(scope)
                continue
            name = check_name(scope.name.removeprefix(public_host + "/"))
            try:
                mapped.append(scope.with_name(self._mapping.route(name).upstream_name))
            except NameUnknown as error:
                refused = error
        if refused is not None and not mapped:
            raise refused
        return tuple(mapped)

    def _public_scope(self, grant: Grant, request: TokenRequest) -> str | None:
        if grant.scope is None:
            # Required in replies to POST; without it, all was granted.
            return format_scopes(request.scopes) if request.method == "POST" else None
        asked = {
            self._mapping.route(scope.name).upstream_name: scope.name
            for scope in request.scopes
            if scope.is_repository and self._is_mapped(scope.name)
        }
        return format_scopes(
            public_scopes(
                parse_scopes([grant.scope]),
                lambda name: asked.get(name) or self._mapping.to_public(name),
            )
        )

    def _is_mapped(self, name: str) -> bool:
        try:
            self._mapping.route(name)
        except NameUnknown:
            return False
        return True

    def _known_names(self, scopes: tuple[Scope, ...]) -> dict[str, str]:
        names = [scope.name for scope in scopes if scope.is_repository]
        public = {name: self._mapping.to_public(name) for name in names}
        return {name: found for name, found in public.items() if found}

    def _cache_key(
        self, request: TokenRequest, known: Knowledge, scopes: tuple[Scope, ...]
    ) -> Hashable:
        credentials = "\0".join(
            (
                request.method,
                request.username,
                request.password,
                request.refresh_token,
                request.client_id if request.refresh_token else "",
            )
        )
        return (
            self._hash(credentials.encode("utf-8", "surrogateescape")),
            known.realm,
            known.service or request.service,
            frozenset(map(str, scopes)),
            request.offline,
        )

    def _hash(self, secret: bytes) -> bytes:
        return hmac.digest(self._key, secret, hashlib.sha256)

    def _remember_user(self, token: str, user: str) -> None:
        if user:
            self._users[self._hash(token.encode())] = user
            if len(self._users) > MAX_REMEMBERED_USERS:
                self._users.popitem(last=False)


def public_scopes(
    scopes: tuple[Scope, ...], to_public: Callable[[str], str | None]
) -> tuple[Scope, ...]:
    """
    Return scopes with public names.

    Repositories that are not served here are left out: GHCR's challenges name
    one that nobody asked for.
    """
    mapped = []
    for scope in scopes:
        if not scope.is_repository:
            mapped.append(scope)
            continue
        name = to_public(scope.name)
        if name is not None:
            mapped.append(scope.with_name(name))
    return tuple(mapped)


def _token_agent(upstream: Upstream, clock: Any) -> IAgent:
    """Return an agent whose endpoints, and their TLS options, are made once."""

    @implementer(IAgentEndpointFactory)
    class Endpoints:
        def endpointForURI(self, uri: Any) -> Any:
            host = uri.host.decode("ascii")
            authority = f"[{host}]:{uri.port}" if ":" in host else f"{host}:{uri.port}"
            origin = parse_origin(uri.scheme.decode("ascii"), authority)
            assert origin is not None
            return upstream.trust.endpoint(
                clock, origin, upstream.config.connect_timeout
            )

    pool = HTTPConnectionPool(clock)
    pool.maxPersistentPerHost = 8
    pool.cachedConnectionTimeout = 30
    agent: IAgent = Agent.usingEndpointFactory(clock, Endpoints(), pool)
    return agent


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
