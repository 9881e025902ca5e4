"""
The broker: the token service of a registry whose accounts are the upstream's.

A token request comes in with public names and goes out with upstream ones; the
reply, and a refusal, come back with public ones.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

from regbroker.broker.mounts import Name
from regbroker.broker.token_users import TokenUsers
from regbroker.broker.wanted_scopes import (
    MAX_WANTED,
    MAX_WANTED_SIZE,
    WantedScopes,
    is_short,
    question,
    wanted_scopes,
)
from regbroker.causes import Side
from regbroker.errors import UpstreamRefused
from regbroker.naming.mapping import NameMapping
from regbroker.protocol.bodies import NameRewriter, error_body
from regbroker.protocol.challenges import basic_challenge, challenge_headers
from regbroker.protocol.headers import limit_headers, raw_headers
from regbroker.protocol.scopes import Scope, format_scopes, parse_scopes, public_scopes
from regbroker.protocol.token_replies import IssuedToken, format_reply
from regbroker.protocol.token_requests import TokenRequest
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.upstream.own_account import OwnAccount
from regbroker.upstream.policy import CLIENTS_OWN, Policy
from regbroker.upstream.token_service import TokenReply
from regbroker.upstream.tokens import TokenRefused, UpstreamTokens

#: Tokens that are given out again without noting whose they are. Fewer than those whose
#: user is remembered: what is noted once is not forgotten before it is noted again.
MAX_GRANTED = 1024

#: For so long the token service is not asked again about a client's login: a
#: password that is taken back upstream is good here for that long at most, and many
#: clients with one login are one request a minute.
REUSE_SECONDS = 60.0


class Broker:
    """
    Grants tokens of one upstream's; `now` returns seconds since 1970.

    A client without credentials gets tokens of our own `account`, for the actions that
    `policy` shares.
    """

    def __init__(
        self,
        upstream: str,
        tokens: UpstreamTokens,
        mapping: NameMapping,
        now: Callable[[], float],
        account: OwnAccount | None = None,
        policy: Policy = CLIENTS_OWN,
    ) -> None:
        self.upstream = upstream
        self._tokens = tokens
        self._account = account
        self._policy = policy
        self._mapping = mapping
        self._wanted: BoundedMemory[Hashable, WantedScopes] = BoundedMemory(MAX_WANTED)
        self._now = now
        self.users = TokenUsers()
        #: What was granted last, as the cache of `tokens` has it.
        self._granted: BoundedMemory[int, IssuedToken] = BoundedMemory(
            MAX_GRANTED, now=now, max_age=REUSE_SECONDS
        )
        #: Public scopes, by what the upstream says of them and what was asked for.
        self._public: BoundedMemory[Hashable, str] = BoundedMemory(MAX_WANTED)

    def wanted(self, request: TokenRequest, public_host: str) -> WantedScopes:
        """
        Return those of the request's scopes that lead to this upstream, in its words.

        What no rule maps is left out, as a token service leaves out what it
        does not grant; the registry then says why. Raises as `wanted_scopes`.
        """
        key = question(request, public_host)
        wanted = self._wanted.get(key)
        if wanted is None:
            wanted = wanted_scopes(request, self._mapping, public_host, self.upstream)
            if is_short(request, public_host):
                self._wanted.put(key, wanted)
        return wanted

    async def grant(
        self, request: TokenRequest, wanted: WantedScopes, public_host: str
    ) -> bytes:
        """
        Return the reply to a token request, JSON with public names.

        Raises as `token`.
        """
        grant, scope = await self.token(request, wanted, public_host)
        # The same token again, to the same user for the same scopes: it is known.
        if self._granted.get(id(grant)) is not grant:
            self._granted.put(id(grant), grant)
            self.users.remember(grant.token, request.user)
            self.users.asked.remember(grant.token, wanted.pulls(self.upstream))
        return format_reply(grant, scope, request.method, self._now())

    async def token(
        self, request: TokenRequest, wanted: WantedScopes, public_host: str
    ) -> tuple[IssuedToken, str | None]:
        """
        Return a token of this upstream's, and its scope with public names.

        The scope is None where the reply need not name it. Raises `UpstreamRefused`
        with what the token service says, and other `UpstreamError`s.
        """
        shared = self._shared(request, wanted)
        if self._account is not None and shared:
            grant = await self._account.grant(shared)
            if grant.refresh_token:
                # Some token services send one unasked, or the one they were given:
                # that is our account itself, and stays here.
                grant = replace(grant, refresh_token="")
        else:
            max_age = _max_age(request)
            cached = self._tokens.cached(request, wanted.scopes, max_age)
            try:
                grant = cached or await self._tokens.get(
                    request, wanted.scopes, max_age
                )
            except TokenRefused as refusal:
                raise self._refusal(refusal.reply, wanted, public_host) from refusal
        return grant, self._scope(grant, request, wanted, public_host)

    def token_at_hand(
        self, request: TokenRequest, wanted: WantedScopes, public_host: str
    ) -> IssuedToken | None:
        """Return what `token_if_issued` would without asking anybody, or None."""
        if self._shared(request, wanted):
            return None
        grant = self._tokens.cached(request, wanted.scopes, _max_age(request))
        if grant is None:
            return None
        return _scoped(grant, self._scope(grant, request, wanted, public_host))

    def _shared(self, request: TokenRequest, wanted: WantedScopes) -> tuple[Scope, ...]:
        """Return for what of it our account is shared with a client."""
        if self._account is None or not request.is_anonymous:
            return ()
        return self._policy.share(wanted.scopes)

    def _scope(
        self,
        grant: IssuedToken,
        request: TokenRequest,
        wanted: WantedScopes,
        public_host: str,
    ) -> str | None:
        """Return a token's scope with public names; None if no reply need name it."""
        if grant.scope is None and request.method != "POST":
            return None
        key = grant.scope, question(request, public_host)
        scope = self._public.get(key)
        if scope is None:
            scope = self._public_scope(grant.scope, wanted)
            size = len(grant.scope or "")
            if is_short(request, public_host) and size <= MAX_WANTED_SIZE:
                self._public.put(key, scope)
        return scope

    async def token_if_issued(
        self, request: TokenRequest, wanted: WantedScopes, public_host: str
    ) -> IssuedToken | None:
        """
        Return a token of this upstream's whose scope has public names.

        None is from an upstream that has no token service. Raises as `token`.
        """
        if not await self._tokens.are_issued(wanted.scopes):
            return None
        return _scoped(*await self.token(request, wanted, public_host))

    async def check(self) -> None:
        """Look whether the token service answers at all; raises `HTTPError` if not."""
        await self._tokens.check()

    def has_asked(self, token: str, name: Name) -> bool:
        """Tell whether a token was asked for to pull from there, as far as known."""
        return self.users.asked.has(token, name)

    def _refusal(
        self, reply: TokenReply, wanted: WantedScopes, public_host: str
    ) -> UpstreamRefused:
        headers = limit_headers(raw_headers(reply.headers))
        if reply.status == 401:
            headers += challenge_headers([basic_challenge(public_host)])
        rewriter = NameRewriter(wanted.names, self._to_public)
        document = error_body(reply.status, reply.body, rewriter, side=Side.TOKENS)
        return UpstreamRefused(reply.status, document, headers)

    def _public_scope(self, scope: str | None, wanted: WantedScopes) -> str:
        # Required in replies to POST; without it, all was granted.
        granted = wanted.scopes
        if scope is not None:
            granted = parse_scopes([scope], bounded=False)
        return format_scopes(
            public_scopes(
                granted,
                lambda name: wanted.names.get(name) or self._to_public(name),
            )
        )

    def _to_public(self, upstream_name: str) -> str | None:
        return self._mapping.to_public(upstream_name, self.upstream)


def _max_age(request: TokenRequest) -> float | None:
    """Return for how many seconds a token is given out again; None while it lives."""
    # Without credentials there are none that could be taken back.
    return None if request.is_anonymous else REUSE_SECONDS


def _scoped(grant: IssuedToken, scope: str | None) -> IssuedToken:
    return grant if scope == grant.scope else replace(grant, scope=scope)
