"""
Tokens of one upstream: asked for once, and kept while they live.

The upstream's token service is asked once for all who ask the same at the same
moment, and not at all while a token is at hand that it has given for the same
credentials and scopes. Credentials are not kept: only a hash of them, keyed
with a key that lives as long as the process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

from twisted.internet.defer import TimeoutError
from twisted.logger import Logger

from regbroker.causes import Cause
from regbroker.errors import (
    RedirectRefused,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.protocol.scopes import Scope
from regbroker.protocol.token_replies import IssuedToken, parse_reply
from regbroker.protocol.token_requests import TokenRequest
from regbroker.protocol.urls import Url
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.runtime.in_time import InTime
from regbroker.runtime.keyed_hash import KeyedHash
from regbroker.runtime.reactor import INetworkReactor
from regbroker.runtime.single_flight import Coalescer
from regbroker.upstream.discovery import Discovered
from regbroker.upstream.registry import Upstream
from regbroker.upstream.token_cache import TokenCache
from regbroker.upstream.token_service import TokenReply, TokenService

#: docker gives its token request 15 s.
TOKEN_SECONDS = 13.0

#: The hash of what is asked for is remembered for so many questions. One whose scopes
#: have more characters is hashed each time. With one scope each, 512 questions take
#: 0.6 MiB, and 4.3 with as many actions as fit.
MAX_REMEMBERED = 512
MAX_REMEMBERED_SIZE = 512

#: Statuses with which registries say that they take no POST: Google 404,
#: Artifactory 401, Azure 400; 405 is what the specification means.
_POST_REFUSED = (400, 401, 404, 405)


_log = Logger()


class TokenRefused(Exception):
    """The token service said no; `reply` is what it said, in upstream names."""

    def __init__(self, reply: TokenReply) -> None:
        super().__init__(f"the token service answered with status {reply.status}")
        self.reply = reply


class UpstreamTokens:
    """
    Gets tokens of one upstream.

    `clock` is the reactor; `now` returns seconds since 1970.
    """

    def __init__(
        self, upstream: Upstream, clock: INetworkReactor, now: Callable[[], float]
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        #: The clock on which tokens live, in seconds since 1970.
        self.now = now
        self._service = TokenService(
            upstream.trust, upstream.config.connect_timeout, clock
        )
        self.cache = TokenCache(now)
        self._exchanges: Coalescer[IssuedToken] = Coalescer(clock, TOKEN_SECONDS)
        self._hash = KeyedHash()
        #: The hashes of what was asked last, with nobody's credentials.
        self._asked: BoundedMemory[Hashable, KeyedHash] = BoundedMemory(MAX_REMEMBERED)

    def close(self) -> None:
        """End the exchanges under way; close the connections that nobody uses."""
        self._exchanges.cancel()
        self._service.close()

    def drop(self, token: str) -> None:
        """Forget a token: the registry has just refused it."""
        self.cache.drop_token(token)

    async def are_issued(self, scopes: tuple[Scope, ...] = ()) -> bool:
        """Tell whether the upstream sends clients to a token service."""
        discovered = await self._upstream.token_service(scopes)
        # One that may not be used is a problem that is to be told.
        return discovered.realm is not None or bool(discovered.problem)

    async def check(self) -> None:
        """Look whether the token service answers at all; raises `HTTPError` if not."""
        discovered = await self._upstream.discover()
        if discovered.realm is None:
            return
        service = self._service.get(
            discovered.realm, TokenRequest("GET"), discovered.service, ()
        )
        seconds = self._upstream.config.answer_timeout
        try:
            reply = await InTime(service, seconds, self._clock)
        except TimeoutError as error:
            raise UpstreamTimeout("the token service did not answer") from error
        if reply.status >= 500:
            raise UpstreamUnavailable(
                f"the token service answered with status {reply.status}"
            )

    def cached(
        self,
        request: TokenRequest,
        scopes: tuple[Scope, ...],
        max_age: float | None = None,
    ) -> IssuedToken | None:
        """Return the token that `get` would return without asking, or None."""
        discovered = self._upstream.discovered
        if discovered is None or discovered.realm is None:
            return None
        # Who finds none calls `get`, which counts that.
        return self.cache.find(self._cache_key(request, discovered, scopes), max_age)

    async def get(
        self,
        request: TokenRequest,
        scopes: tuple[Scope, ...],
        max_age: float | None = None,
        is_own: bool = False,
    ) -> IssuedToken:
        """
        Return a token for these scopes, in upstream names.

        The scopes of `request` itself are not looked at. A token received more than
        `max_age` seconds ago is asked for anew. A token of regbroker's own account,
        with `is_own`, is kept without its refresh token. Raises `TokenRefused` or
        `UpstreamError`.
        """
        discovered = await self._upstream.token_service(scopes)
        if discovered.realm is None:
            raise UpstreamMalformed(
                "the upstream registry has no token service that may be used"
                if discovered.problem
                else "the upstream registry issues no tokens"
            )
        key = self._cache_key(request, discovered, scopes)
        grant = self.cache.get(key, max_age)
        if grant is not None:
            return grant

        async def work() -> IssuedToken:
            if any(scope.is_repository for scope in scopes):
                # Who asks for a token has a request for the registry.
                self._upstream.connections.prepare(1)
            grant = await self._exchange(request, discovered, scopes)
            # Some token services send a refresh token unasked, or the one they were
            # given. Our own account has no use for it.
            self.cache.put(key, replace(grant, refresh_token="") if is_own else grant)
            return grant

        try:
            return await self._exchanges.run(key, work)
        except TimeoutError as error:
            raise UpstreamTimeout(
                "the upstream's token service did not answer in time",
                cause=Cause.TOKENS_IDLE,
            ) from error

    async def _exchange(
        self, request: TokenRequest, discovered: Discovered, scopes: tuple[Scope, ...]
    ) -> IssuedToken:
        try:
            return await self._ask(request, discovered, scopes)
        except RedirectRefused as refused:
            _log.error(
                "[upstream {name}]: a redirect of the token service is not followed: "
                "{why}",
                name=self._upstream.name,
                why=refused.why,
            )
            raise

    async def _ask(
        self, request: TokenRequest, discovered: Discovered, scopes: tuple[Scope, ...]
    ) -> IssuedToken:
        realm = discovered.realm
        assert realm is not None
        service = discovered.service or request.service
        if request.method == "POST":
            reply = await self._service.post(realm, request, service, scopes)
            # What a token service that takes no POST is asked, GET can say too;
            # but not a refresh token.
            if reply.status not in _POST_REFUSED or not request.username:
                return self._granted(reply)
        return self._granted(await self._service.get(realm, request, service, scopes))

    def _granted(self, reply: TokenReply) -> IssuedToken:
        if 200 <= reply.status < 300:
            try:
                return parse_reply(reply.body, self.now())
            except UpstreamMalformed as error:
                error.cause = Cause.TOKENS_MALFORMED
                raise
        if not 400 <= reply.status < 600:
            raise UpstreamMalformed(
                f"the upstream's token service answered with status {reply.status}",
                cause=Cause.TOKENS_MALFORMED,
            )
        raise TokenRefused(reply)

    def _cache_key(
        self, request: TokenRequest, discovered: Discovered, scopes: tuple[Scope, ...]
    ) -> bytes:
        realm = discovered.realm
        assert realm is not None
        service = discovered.service or request.service
        question = request.method, request.offline, service, realm, scopes
        asked = self._asked.get(question)
        if asked is None:
            asked = self._hash_of(*question)
            if sum(len(scope.text) for scope in scopes) <= MAX_REMEMBERED_SIZE:
                self._asked.put(question, asked)
        if not request.refresh_token:
            return asked.digest(request.username, request.password)
        return asked.digest(
            request.username,
            request.password,
            request.refresh_token,
            # A refresh token is good for the client it was issued to.
            request.client_id,
        )

    def _hash_of(
        self,
        method: str,
        offline: bool,
        service: str,
        realm: Url,
        scopes: tuple[Scope, ...],
    ) -> KeyedHash:
        """Return what hashes credentials with what is asked for, and where."""
        texts = sorted(set(map(str, scopes)))
        # All in the digest, so that keys do not grow with what clients write. Their
        # number says where the credentials begin.
        return self._hash.after(
            method, str(offline), service, str(realm), str(len(texts)), *texts
        )
