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

from twisted.internet.defer import TimeoutError

from regbroker.bodies import Wording, error_body
from regbroker.challenges import format_challenge
from regbroker.coalescing import Coalescer
from regbroker.errors import (
    NameUnknown,
    UpstreamMalformed,
    UpstreamRefused,
    UpstreamTimeout,
)
from regbroker.grants import Grant, TokenRequest, format_reply, parse_reply
from regbroker.mapping import Mapping
from regbroker.names import check_name
from regbroker.scopes import Scope, format_scopes, parse_scopes, public_scopes
from regbroker.tokencache import TokenCache
from regbroker.tokenservice import TokenReply, TokenService
from regbroker.upstreams import Knowledge, Upstream

#: docker gives its token request 15 s.
TOKEN_SECONDS = 13.0

#: Whose token it is is remembered for this many tokens, for the log.
MAX_REMEMBERED_USERS = 16384

#: Statuses with which registries say that they take no POST: Google 404,
#: Artifactory 401, Azure 400; 405 is what the specification means.
_POST_REFUSED = (400, 401, 404, 405)


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
        self._service = TokenService(
            upstream.trust, upstream.config.connect_timeout, clock
        )
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
        scopes = self._upstream_scopes(
            request.scopes, public_host, anonymous=request.is_anonymous
        )
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
            reply = await self._service.post(realm, request, service, scopes)
            if reply.status not in _POST_REFUSED or not request.username:
                return self._granted(reply, scopes, public_host)
        reply = await self._service.get(realm, request, service, scopes)
        return self._granted(reply, scopes, public_host)

    def _granted(
        self, reply: TokenReply, scopes: tuple[Scope, ...], public_host: str
    ) -> Grant:
        if 200 <= reply.status < 300:
            return parse_reply(reply.body, self._now())
        if reply.status < 400:
            raise UpstreamMalformed(
                f"the upstream's token service answered with status {reply.status}"
            )
        headers = [
            (b"Retry-After", value)
            for value in reply.headers.getRawHeaders(b"Retry-After", ())
        ]
        if reply.status == 401:
            challenge = format_challenge("Basic", [("realm", public_host)])
            headers.append((b"WWW-Authenticate", challenge))
        wording = Wording(self._known_names(scopes), self._mapping.to_public)
        document = error_body(reply.status, reply.body, wording)
        raise UpstreamRefused(reply.status, document, headers)

    def _upstream_scopes(
        self, scopes: tuple[Scope, ...], public_host: str, anonymous: bool
    ) -> tuple[Scope, ...]:
        """
        Return the scopes with upstream names.

        What no rule maps is left out, as a token service leaves out what it
        does not grant; the registry then says why. A client without
        credentials that asks for nothing else is told at once.
        """
        mapped: list[Scope] = []
        refused: NameUnknown | None = None
        for scope in scopes:
            if not scope.is_repository:
                mapped.append(scope)
                continue
            # A scope may name the host before the repository.
            name = check_name(scope.name.removeprefix(public_host + "/"))
            try:
                mapped.append(scope.with_name(self._mapping.route(name).upstream_name))
            except NameUnknown as error:
                refused = error
        if refused is not None and not mapped and anonymous:
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
