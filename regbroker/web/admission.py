"""
Who may come in: decided by the upstream, or here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from regbroker.broker.local_broker import LocalBroker, Principal, WrongToken
from regbroker.broker.mounts import Name, ToldMounts
from regbroker.errors import Denied, HTTPError, Unauthorized
from regbroker.protocol.challenges import (
    Challenge,
    basic_challenge,
    bearer_challenge,
    unauthorized,
)
from regbroker.protocol.names import Action, Endpoint
from regbroker.protocol.scopes import format_scopes
from regbroker.upstream.discovery import Discovered
from regbroker.web.exchange import Exchange
from regbroker.web.failover import Candidate


class Gate(Protocol):
    """Lets requests in, or raises `Unauthorized` or `Denied`."""

    async def admit(self, exchange: Exchange) -> Principal | None:
        """
        Let a request in whose names are mapped.

        Returns who it is by; None when the upstream is to decide.
        """

    async def visible(self, principal: Principal) -> Callable[[str], bool]:
        """Return which canonical public names a visitor sees in the catalog."""


class UpstreamGate:
    """
    The upstreams decide; only what they always say is said here.

    `trusted` are those at which clients have accounts, `user_of` tells whose a
    token is, `has_asked` whether it was asked for to pull from somewhere; `clock` is
    the reactor.
    """

    def __init__(
        self,
        trusted: Sequence[Candidate],
        user_of: Callable[[str], str | None],
        clock: IReactorTime,
        has_asked: Callable[[str, Name], bool] = lambda token, name: False,
    ) -> None:
        self._has_asked = has_asked
        self._told = ToldMounts(clock.seconds)
        self._trusted = trusted
        self._clock = clock
        self._user_of = user_of

    async def admit(self, exchange: Exchange) -> Principal | None:
        """Answer the ping without credentials; let everything else in."""
        exchange.token_user = self._user_of(exchange.bearer_token)
        exchange.event.user = exchange.basic_user or exchange.token_user or ""
        source = exchange.mounted_from
        if source is not None:
            token = exchange.bearer_token
            name = source.upstream, source.upstream_name
            # Of a password or nothing there is nothing wider to be had.
            can_widen = bool(token) and not self._has_asked(token, name)
            user = (exchange.token_user or "").removeprefix("-")
            exchange.tries_mount(self._told, user, can_widen)
        if (
            exchange.target.endpoint is not Endpoint.BASE
            or exchange.authorization is not None
        ):
            return None
        for candidate in self._trusted:
            known = await self._known(candidate, exchange)
            if (
                known is not None
                and known.challenges
                # Without a token service, who brings nothing is lent our account,
                # and would not come back after a challenge.
                and not (candidate.policy.shares and known.realm is None)
            ):
                raise unauthorized(
                    candidate.answering.challenges(known.challenges, exchange)
                )
            if known is None and len(exchange.upstreams) > 1:
                # Another upstream would let everybody in, and clients would take
                # any password for a good one.
                ours = Challenge("bearer", (("service", exchange.forwarded.host),))
                raise unauthorized(candidate.answering.challenges((ours,), exchange))
        return None

    async def _known(
        self, candidate: Candidate, exchange: Exchange
    ) -> Discovered | None:
        """Return what is known of an upstream's challenge, None if that is nothing."""
        upstream = candidate.upstream
        if upstream.known is not None or not (
            candidate.policy.shares
            or len(exchange.upstreams) > 1
            or upstream.config.realm is not None
        ):
            return upstream.known
        # Relayed, the ping would be made with our account, or at another upstream, or
        # pass where a realm is written: the client would never be asked for its own.
        learning = Deferred.fromCoroutine(upstream.discovered())
        learning.addTimeout(upstream.config.answer_timeout, self._clock)
        try:
            return await learning
        except (HTTPError, TimeoutError):
            return None

    async def visible(self, principal: Principal) -> Callable[[str], bool]:
        """All of what the upstream shows."""
        return lambda name: True


class LocalGate:
    """Accounts and rights are ours; `basic` asks for Basic, not for tokens."""

    def __init__(
        self,
        broker: LocalBroker,
        token_path: str,
        basic: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._told = ToldMounts(now)
        self._token_path = token_path
        self._basic = basic

    async def admit(self, exchange: Exchange) -> Principal | None:
        """Let in who may do what the request does."""
        forwarded = exchange.forwarded
        try:
            principal = await self._broker.identify(
                exchange.authorization, forwarded.host, forwarded.address
            )
        except WrongToken:
            raise self._unauthorized(exchange, "invalid_token") from None
        if principal is None:
            raise self._unauthorized(exchange, None)
        exchange.event.user = principal.user
        if not self._admits(principal, exchange):
            if principal.is_anonymous:
                raise self._unauthorized(exchange, None)
            if principal.has_token:
                raise self._unauthorized(exchange, "insufficient_scope")
            raise _denied(principal, exchange)
        return principal

    async def visible(self, principal: Principal) -> Callable[[str], bool]:
        """Those for which the visitor has the ``catalog`` right."""
        return await self._broker.visible(principal)

    def _admits(self, principal: Principal, exchange: Exchange) -> bool:
        if exchange.target.endpoint is Endpoint.BASE:
            # Clients bring credentials later only if they were asked for here.
            return not principal.is_anonymous
        if exchange.target.endpoint is Endpoint.CATALOG:
            return principal.may_list
        if exchange.is_about_everything:
            # Nothing says who may change what is everybody's.
            return principal.may_list and exchange.action is Action.PULL
        assert exchange.route is not None
        if not principal.may(exchange.action, exchange.route.public_name):
            return False
        source = exchange.mounted_from
        if source is not None:
            can_widen = principal.has_token and not principal.was_refused(
                source.public_name
            )
            exchange.tries_mount(self._told, principal.user, can_widen)
            assert exchange.mount_attempt is not None
            if not principal.may(Action.PULL, source.public_name):
                if exchange.mount_attempt.tell():
                    raise self._unauthorized(exchange, "insufficient_scope")
                exchange.mounts_nothing()
        return True

    def _unauthorized(self, exchange: Exchange, error: str | None) -> Unauthorized:
        forwarded = exchange.forwarded
        if self._basic:
            return unauthorized([basic_challenge(forwarded.host)])
        challenge = bearer_challenge(
            forwarded.realm(self._token_path),
            self._broker.service(forwarded.host),
            format_scopes(exchange.wanted(of_upstream=False)),
            error,
        )
        return unauthorized([challenge])


def _denied(principal: Principal, exchange: Exchange) -> Denied:
    if exchange.is_about_everything:
        return Denied(
            f"{principal.user} may not {exchange.action.value} for all of this"
        )
    if exchange.target.name is None:
        return Denied(f"{principal.user} may not list the repositories")
    return Denied(
        f"{principal.user} may not {exchange.action.value} here",
        detail={"name": exchange.target.name},
    )
