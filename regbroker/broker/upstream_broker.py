"""
The broker: the token service of a registry whose accounts are the upstream's.

A token request comes in with public names and goes out with upstream ones; the
reply, and a refusal, come back with public ones.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cached_property

from regbroker.accounts.principals import MAX_USER_LENGTH
from regbroker.broker.mounts import Name, RequestedPulls
from regbroker.causes import Side
from regbroker.errors import NameInvalid, NameUnknown, UpstreamRefused
from regbroker.naming.mapping import NameMapping, Route
from regbroker.protocol.bodies import NameRewriter, error_body
from regbroker.protocol.challenges import basic_challenge, challenge_headers
from regbroker.protocol.headers import limit_headers, raw_headers
from regbroker.protocol.names import check_name
from regbroker.protocol.scopes import Scope, format_scopes, parse_scopes, public_scopes
from regbroker.protocol.token_replies import IssuedToken, format_reply
from regbroker.protocol.token_requests import TokenRequest
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.upstream.own_account import OwnAccount
from regbroker.upstream.policy import CLIENTS_OWN, Policy
from regbroker.upstream.token_service import TokenReply
from regbroker.upstream.tokens import TokenRefused, UpstreamTokens

#: Whose token it is is remembered for this many tokens, for the log.
MAX_REMEMBERED_USERS = 16384

#: Tokens that are given out again without noting whose they are. Fewer than those whose
#: user is remembered: what is noted once is not forgotten before it is noted again.
MAX_GRANTED = 1024

#: Where what clients ask for leads is remembered for so many questions. Those of more
#: scopes, or of more characters, are looked up each time: clients ask for one or two,
#: and somebody who asks for many takes no more memory than others.
MAX_WANTED = 1024
MAX_WANTED_SCOPES = 8
MAX_WANTED_SIZE = 512

#: For so long the token service is not asked again about a client's login: a
#: password that is taken back upstream is good here for that long at most, and many
#: clients with one login are one request a minute.
REUSE_SECONDS = 60.0


@dataclass(frozen=True)
class WantedScopes:
    """
    What a token request asks for, in the upstream's words.

    `names` leads from upstream names to the public ones, as the client has
    written them.
    """

    scopes: tuple[Scope, ...]
    names: dict[str, str]

    @cached_property
    def upstream_names(self) -> str:
        """The names in all scopes, in the upstream's words, with commas between."""
        return ",".join([scope.name for scope in self.scopes])

    def pulls(self, upstream: str) -> list[Name]:
        """Return the repositories of an upstream that are asked for to pull from."""
        return [
            (upstream, scope.name)
            for scope in self.scopes
            if scope.is_repository and not {"pull", "*"}.isdisjoint(scope.actions)
        ]


class TokenUsers:
    """
    Whose tokens they are; of the tokens only a keyed hash is kept.

    The user that is found goes into the log, the audit log and the pages of the admin
    listener. A limit (429) that the request meets counts for that user's account, and
    so does a mount that is challenged. Nobody is let in by it: the upstream looks at
    the token itself.

    Each request looks its token up, so the hash is Python's (SipHash, PEP 456), with a
    secret key of its own, since `PYTHONHASHSEED` may say what Python's is. Without the
    key (128 bits) there is no known way to make two tokens with one hash. Of all tokens
    that somebody makes up, one in 2**50 has the hash of one that is remembered, and is
    taken for that user's, whoever that is. Where Python is built for 32 bits, it is one
    in 2**18.
    """

    def __init__(self) -> None:
        self.asked = RequestedPulls()
        self._key = secrets.token_hex(16)
        self._users: BoundedMemory[int, str] = BoundedMemory(MAX_REMEMBERED_USERS)

    def remember(self, token: str, user: str) -> None:
        """Note the user who got a token; empty for somebody without credentials."""
        self._users.put(hash(self._key + token), user[:MAX_USER_LENGTH])

    def find(self, token: str) -> str | None:
        """Return the user who got a token; None when that is not known."""
        return self._users.get(hash(self._key + token)) if token else None


def routed(
    request: TokenRequest, mapping: NameMapping, public_host: str
) -> list[tuple[Scope, tuple[Route, ...]]]:
    """
    Return a request's scopes, those of repositories with where they lead.

    What no rule maps is left out, and what does not parse or is no name: clients
    repeat what some upstream has told them, and it is not to stop a login. A client
    without credentials that asks for nothing else than unknown names is told at once:
    raises `NameUnknown`.
    """
    scopes: list[tuple[Scope, tuple[Route, ...]]] = []
    unknown: NameUnknown | None = None
    for scope in request.scopes:
        if not scope.is_clear:
            continue
        if not scope.is_repository:
            scopes.append((scope, ()))
            continue
        try:
            # A scope may name the host before the repository.
            name = check_name(scope.name.removeprefix(public_host + "/"))
            scopes.append((scope, mapping.routes(name)))
        except NameInvalid:
            continue
        except NameUnknown as error:
            unknown = error
    if unknown is not None and not scopes and request.is_anonymous:
        raise unknown
    return scopes


def _question(request: TokenRequest, public_host: str) -> Hashable:
    """Return what decides which scopes are wanted; see `_is_short`."""
    return request.scopes, public_host, request.is_anonymous


def _is_short(request: TokenRequest, public_host: str) -> bool:
    """Tell whether a question may be remembered."""
    texts = [scope.text for scope in request.scopes]
    size = sum(map(len, texts)) + len(public_host)
    return len(texts) <= MAX_WANTED_SCOPES and size <= MAX_WANTED_SIZE


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
        self._users = TokenUsers()
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
        does not grant; the registry then says why. Raises as `routed`.
        """
        key = _question(request, public_host)
        wanted = self._wanted.get(key)
        if wanted is None:
            wanted = self._find_wanted(request, public_host)
            if _is_short(request, public_host):
                self._wanted.put(key, wanted)
        return wanted

    def _find_wanted(self, request: TokenRequest, public_host: str) -> WantedScopes:
        scopes: list[Scope] = []
        names: dict[str, str] = {}
        for scope, routes in routed(request, self._mapping, public_host):
            if not scope.is_repository:
                scopes.append(scope)
            for route in routes:
                if route.upstream == self.upstream:
                    scopes.append(scope.with_name(route.upstream_name))
                    names[route.upstream_name] = scope.name
        return WantedScopes(tuple(scopes), names)

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
            self._users.remember(grant.token, request.user)
            self._users.asked.remember(grant.token, wanted.pulls(self.upstream))
        return format_reply(grant, scope, request.method, self._now())

    async def token(
        self, request: TokenRequest, wanted: WantedScopes, public_host: str
    ) -> tuple[IssuedToken, str | None]:
        """
        Return a token of this upstream's, and its scope with public names.

        The scope is None where the reply need not name it. Raises `UpstreamRefused`
        with what the token service says, and other `UpstreamError`s.
        """
        shared: tuple[Scope, ...] = ()
        is_anonymous = request.is_anonymous
        if is_anonymous and self._account is not None:
            shared = self._policy.share(wanted.scopes)
        if self._account is not None and shared:
            grant = await self._account.grant(shared)
            if grant.refresh_token:
                # Some token services send one unasked, or the one they were given:
                # that is our account itself, and stays here.
                grant = replace(grant, refresh_token="")
        else:
            # Without credentials there are none that could be taken back.
            max_age = None if is_anonymous else REUSE_SECONDS
            cached = self._tokens.cached(request, wanted.scopes, max_age)
            try:
                grant = cached or await self._tokens.get(
                    request, wanted.scopes, max_age
                )
            except TokenRefused as refusal:
                raise self._refusal(refusal.reply, wanted, public_host) from refusal
        if grant.scope is None and request.method != "POST":
            return grant, None
        key = grant.scope, _question(request, public_host)
        scope = self._public.get(key)
        if scope is None:
            scope = self._public_scope(grant.scope, wanted)
            size = len(grant.scope or "")
            if _is_short(request, public_host) and size <= MAX_WANTED_SIZE:
                self._public.put(key, scope)
        return grant, scope

    async def token_if_issued(
        self, request: TokenRequest, wanted: WantedScopes, public_host: str
    ) -> IssuedToken | None:
        """
        Return a token of this upstream's whose scope has public names.

        None is from an upstream that has no token service. Raises as `token`.
        """
        if not await self._tokens.are_issued(wanted.scopes):
            return None
        grant, scope = await self.token(request, wanted, public_host)
        return replace(grant, scope=scope)

    async def check(self) -> None:
        """Look whether the token service answers at all; raises `HTTPError` if not."""
        await self._tokens.check()

    def user_of(self, token: str) -> str | None:
        """Return the user who got a token here; None when that is not known."""
        return self._users.find(token)

    def has_asked(self, token: str, name: Name) -> bool:
        """Tell whether a token was asked for to pull from there, as far as known."""
        return self._users.asked.has(token, name)

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
