"""
The broker of a registry whose names lead to several upstreams.

Each upstream at which clients have accounts is asked for a token for its own scopes.
All are asked at the same time, and the client gets their tokens as one
(`regbroker.protocol.composite_token`). At other upstreams clients have no credentials,
and no password goes there; `regbroker.upstream.policy` decides what is used instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from regbroker.broker.mounts import Name
from regbroker.broker.token_users import TokenUsers
from regbroker.broker.upstream_broker import Broker
from regbroker.broker.wanted_scopes import WantedScopes, routed
from regbroker.errors import (
    FAILING_STATUSES,
    HTTPError,
    TooManyRequests,
    UpstreamTimeout,
)
from regbroker.naming.mapping import NameMapping
from regbroker.protocol.composite_token import CompositeTokens
from regbroker.protocol.token_replies import MIN_LIFE_SECONDS, IssuedToken, format_reply
from regbroker.protocol.token_requests import TokenRequest
from regbroker.runtime.keyed_hash import KeyedHash
from regbroker.upstream.circuit_breaker import FIRST_PAUSE_SECONDS
from regbroker.upstream.failover import Answered, Failed, Failover, Fault, Server, Step
from regbroker.upstream.registry import Upstream

#: How long a client may come with a composite token that is empty.
EMPTY_LIFE_SECONDS = 300.0

#: One for all brokers: registries with the same upstreams share their circuits.
_hash = KeyedHash()


@dataclass(frozen=True)
class _Unavailable:
    """
    An upstream's token service gives no token now, and need not.

    `status` says why, and `seconds` for how long that will be so at least.
    """

    status: int
    seconds: float


class CompositeBroker:
    """
    Grants composite tokens.

    `brokers` are those of the upstreams at which clients have accounts; the first
    of them is the one that logins without a scope, and refresh tokens, are for.
    `upstreams` has them by name. `clock` is the reactor; `now` returns seconds since
    1970.
    """

    def __init__(
        self,
        brokers: Sequence[Broker],
        upstreams: Mapping[str, Upstream],
        mapping: NameMapping,
        composite_tokens: CompositeTokens,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self._brokers = {broker.upstream: broker for broker in brokers}
        self._first = brokers[0].upstream
        self._upstreams = upstreams
        self._mapping = mapping
        self._composite_tokens = composite_tokens
        self._failover = Failover(clock, now)
        self._now = now
        self.users = TokenUsers()

    def wanted(
        self, request: TokenRequest, public_host: str
    ) -> dict[str, WantedScopes]:
        """
        Return what to ask for, by upstream, in its words; raises as `Broker.wanted`.
        """
        wanted = {
            name: broker.wanted(request, public_host)
            for name, broker in self._brokers.items()
        }
        asked = {name: scopes for name, scopes in wanted.items() if scopes.scopes}
        if asked or (request.scopes and request.is_anonymous):
            return asked
        # A login, whatever it names besides: the password is looked at where the
        # accounts are first.
        return {self._first: wanted[self._first]}

    async def grant(
        self,
        request: TokenRequest,
        wanted: Mapping[str, WantedScopes],
        public_host: str,
    ) -> bytes:
        """
        Return the reply to a token request, JSON with public names.

        Raises the first upstream's `UpstreamError` when none has granted anything.
        """
        tokens = {
            # To be given out again, a token needs nobody who answers now.
            name: self._brokers[name].token_at_hand(
                self._request_for(name, request), scopes, public_host
            )
            for name, scopes in wanted.items()
        }
        unavailable: dict[str, tuple[int, float]] = {}
        if None in tokens.values():
            unavailable = await self._ask(request, wanted, public_host, tokens)
        parts = {name: token for name, token in tokens.items() if token is not None}
        grant = self._composed(request, parts, unavailable)
        if parts:
            # A composite token of nothing is the same for everybody.
            self.users.remember(grant.token, request.user)
            pulls = [name for n, one in wanted.items() for name in one.pulls(n)]
            self.users.asked.remember(grant.token, pulls)
        return format_reply(grant, grant.scope, request.method, self._now())

    def has_asked(self, token: str, name: Name) -> bool:
        """Tell whether a token was asked for to pull from there, as far as known."""
        return self.users.asked.has(token, name)

    async def _ask(
        self,
        request: TokenRequest,
        wanted: Mapping[str, WantedScopes],
        public_host: str,
        tokens: dict[str, IssuedToken | None],
    ) -> dict[str, tuple[int, float]]:
        """
        Ask for what is None in `tokens`, and put in there what comes.

        Return the upstreams that give none now, as `CompositeTokens.write` takes them.
        Raises what the first one fails with, if nothing else is there for the client.
        """
        replaceable = self._replaceable(request, public_host)
        asked = [name for name, token in tokens.items() if token is None]
        outcomes: list[tuple[bool, Any]] = await DeferredList(
            [
                Deferred.fromCoroutine(
                    self._part(
                        request, name, wanted[name], public_host, name in replaceable
                    )
                )
                for name in asked
            ],
            consumeErrors=True,
        )
        unavailable: dict[str, tuple[int, float]] = {}
        failures: list[Failure] = []
        for name, (succeeded, outcome) in zip(asked, outcomes, strict=True):
            if not succeeded:
                failures.append(outcome)
            elif isinstance(outcome, _Unavailable):
                unavailable[name] = outcome.status, outcome.seconds
            else:
                tokens[name] = outcome
        if failures and not (any(tokens.values()) or unavailable):
            failures[0].raiseException()
        return unavailable

    async def _part(
        self,
        request: TokenRequest,
        name: str,
        wanted: WantedScopes,
        public_host: str,
        is_replaceable: bool,
    ) -> IssuedToken | _Unavailable | None:
        """
        Return what one upstream gives: None where it wants no token.

        Raises what its token service refuses with. With `is_replaceable` others have
        its names, and the client does not wait for a token service that fails.
        """
        request = self._request_for(name, request)
        broker, upstream = self._brokers[name], self._upstreams[name]
        if not is_replaceable:
            return await broker.token_if_issued(request, wanted, public_host)
        account = _account(request)
        server = Server(
            name,
            f"[upstream {name}]'s token service",
            upstream.token_circuits,
            account,
            broker.check,
            upstream.config.answer_timeout,
        )

        async def work(_: Step) -> IssuedToken | None:
            return await broker.token_if_issued(request, wanted, public_host)

        def judge(step: Step, error: Exception) -> Failed | None:
            return failed_token_service(step.name, error, account)

        outcome = await self._failover.first_answer(
            [server], work, judge, is_replaceable=True
        )
        if isinstance(outcome, Answered):
            return outcome.result
        (failed,) = outcome
        circuit = server.circuit
        if not failed.was_asked:
            return _Unavailable(circuit.status, circuit.open_seconds)
        seconds = max(circuit.open_seconds, FIRST_PAUSE_SECONDS)
        return _Unavailable(failed.error.status, seconds)

    def _request_for(self, name: str, request: TokenRequest) -> TokenRequest:
        """Return what one upstream's token service is to get of a request."""
        # The client's idea of a service is one upstream's, and not the others'.
        request = request._replace(service="")
        if name == self._first:
            return request
        # Refresh tokens are the first one's, and good nowhere else.
        request = request._replace(offline=False)
        if request.refresh_token:
            request = request._replace(method="GET", refresh_token="")
        return request

    def _replaceable(self, request: TokenRequest, public_host: str) -> set[str]:
        """Return the upstreams whose part in a request others can play."""
        needed: set[str] = set()
        alone: set[str] = set()
        for _, routes in routed(request, self._mapping, public_host):
            names = {route.upstream for route in routes}
            needed |= names
            alone |= names if len(names) == 1 else set()
        return needed - alone

    def _composed(
        self,
        request: TokenRequest,
        parts: Mapping[str, IssuedToken],
        unavailable: Mapping[str, tuple[int, float]],
    ) -> IssuedToken:
        now = self._now()
        # One that lacks something is to be asked for again soon.
        life = MIN_LIFE_SECONDS if unavailable else EMPTY_LIFE_SECONDS
        expires = [grant.expires for grant in parts.values()]
        if unavailable or not parts:
            expires.append(now + life)
        scopes = [grant.scope for grant in parts.values() if grant.scope is not None]
        text = " ".join(dict.fromkeys(" ".join(scopes).split()))
        first = parts.get(self._first)
        return IssuedToken(
            self._composite_tokens.write(
                {n: g.token for n, g in parts.items()}, unavailable
            ),
            min(expires),
            text if scopes or request.method == "POST" else None,
            first.refresh_token if first is not None else "",
        )


def failed_token_service(name: str, error: Exception, account: str) -> Failed | None:
    """
    Say whose failure it is that a token service has failed.

    Return None for an error that is about no token service: the client has left, say.
    What a token service answers is final.
    """
    if isinstance(error, TimeoutError):
        # Wrong passwords are slowed down, and that is nobody else's affair.
        fault = Fault.ACCOUNT if account else Fault.UPSTREAM
        return Failed(name, UpstreamTimeout("it did not answer in time"), fault)
    if not isinstance(error, HTTPError):
        return None
    if error.status not in FAILING_STATUSES:
        return Failed(name, error, Fault.NOBODY, is_final=True)
    is_limit = error.status == TooManyRequests.status
    return Failed(name, error, Fault.ACCOUNT if is_limit else Fault.UPSTREAM)


def _account(request: TokenRequest) -> str:
    """Return a text for the account that a token is asked for."""
    if request.is_anonymous:
        return ""
    # Nobody knows yet whether the password is right: it stands for itself alone. Two
    # that Python hashes alike are two accounts still: a limit is not for both.
    credentials = request.username, request.password, request.refresh_token
    return _hash.digest(*credentials).hex()
