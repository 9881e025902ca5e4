"""
Admission: the upstreams of a registry decide who may use it, or regbroker does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import TimeoutError
from twisted.internet.interfaces import IReactorTime

from regbroker.broker.mounts import MountChallenges, Name
from regbroker.broker.principal import Principal, WrongToken
from regbroker.errors import Denied, HTTPError, Unauthorized
from regbroker.events import Event
from regbroker.naming.mapping import Route
from regbroker.protocol.challenges import (
    Challenge,
    basic_challenge,
    bearer_challenge,
    unauthorized,
)
from regbroker.protocol.names import Action, Endpoint
from regbroker.protocol.scopes import format_scopes
from regbroker.protocol.token_texts import ROBOT_PREFIX, user_for_log
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.runtime.in_time import InTime
from regbroker.upstream.discovery import Discovered
from regbroker.web.api_request import ApiRequest
from regbroker.web.backend import Backend
from regbroker.web.exchange import request_to

if TYPE_CHECKING:
    # Imported where it is built: not every configuration needs it.
    from regbroker.broker.local_broker import LocalBroker

#: Hosts and sources, with the challenge that their clients get; a client that makes up
#: hosts takes no more memory than this.
MAX_KNOWN = 256
MAX_KNOWN_BYTES = 256 * 1024


def _size_of(challenge: Unauthorized) -> int:
    return sum(len(value) for _, value in challenge.headers)


class Gate(Protocol):
    """Decides which requests are let in."""

    async def admit(self, asked: ApiRequest) -> ApiRequest | Unauthorized:
        """
        Let a request in whose names are mapped.

        Return the request with its principal, and with its mount as far as that is
        allowed; or the challenge that answers it, after which the client comes again.
        Raises `HTTPError` for what no token changes.
        """

    async def visible(self, principal: Principal) -> Callable[[str], bool]:
        """Return which canonical public names a principal sees in the catalog."""


class UpstreamGate:
    """
    The upstreams decide; only what they always say is said here.

    `trusted` are those at which clients have accounts, `user_of` tells whose a
    token is, `has_asked` whether it was asked for to pull from somewhere; `clock` is
    the reactor.
    """

    def __init__(
        self,
        trusted: Sequence[Backend],
        user_of: Callable[[str], str | None],
        clock: IReactorTime,
        has_asked: Callable[[str, Name], bool] = lambda token, name: False,
    ) -> None:
        self._has_asked = has_asked
        self._mount_challenges = MountChallenges(clock.seconds)
        self._trusted = trusted
        self._known = BoundedMemory[tuple[str, ...], tuple[Discovered, Unauthorized]](
            MAX_KNOWN,
            weigh=lambda known: _size_of(known[1]),
            max_weight=MAX_KNOWN_BYTES,
        )
        self._clock = clock
        self._user_of = user_of

    async def admit(self, asked: ApiRequest) -> ApiRequest | Unauthorized:
        """Challenge the ping without credentials; let everything else in."""
        if asked.client.authorization is not None:
            asked = self._identified(asked)
        elif asked.target.operation.is_ping:
            challenge = await self._ping_challenge(asked)
            if challenge is not None:
                return challenge
        if asked.mount is not None:
            asked = self._mounted(asked, asked.mount.route)
        return asked

    def _identified(self, asked: ApiRequest) -> ApiRequest:
        """Return a request with whose credentials it brings, as far as known here."""
        token = asked.client.token
        if token:
            user, shown = "", token
            token_user = self._user_of(token)
            if token_user is not None:
                asked = asked.with_token_of(token_user)
                asked.event.user = token_user
        else:
            user, shown = asked.basic
            asked.event.user = user_for_log(user)
        if ROBOT_PREFIX in shown or ROBOT_PREFIX in user:
            raise robot_token_refused(asked.client.forwarded.host, asked.event)
        return asked

    def _mounted(self, asked: ApiRequest, source: Route) -> ApiRequest:
        token, name = asked.client.token, (source.upstream, source.upstream_name)
        # Of a password or nothing there is nothing wider to be had.
        can_widen = bool(token) and not self._has_asked(token, name)
        user = (asked.token_user or "").removeprefix("-")
        return asked.mounted_by(self._mount_challenges, user, can_widen)

    async def _ping_challenge(self, asked: ApiRequest) -> Unauthorized | None:
        """Return the answer to a ping that the upstreams would challenge."""
        for backend in self._trusted:
            discovered = backend.upstream.discovered
            if discovered is None:
                discovered = await self._learned(backend, asked)
            if (
                discovered is not None
                and discovered.challenges
                # Without a token service, our account is used for a client that brings
                # nothing. After a challenge such a client would not come back.
                and not (backend.policy.shares and discovered.realm is None)
            ):
                return self._challenge(backend, discovered, asked)
            if discovered is None and len(asked.target.operation.upstreams) > 1:
                # Another upstream would let everybody in, and clients would take
                # any password for a good one.
                ours = Challenge("bearer", (("service", asked.client.forwarded.host),))
                request = request_to(backend.upstream.name, asked)
                return unauthorized(backend.responder.challenges((ours,), request))
        return None

    def _challenge(
        self, backend: Backend, discovered: Discovered, asked: ApiRequest
    ) -> Unauthorized:
        """Return what the ping's 401 says: always the same to clients of one host."""
        forwarded = asked.client.forwarded
        key = backend.upstream.name, forwarded.scheme, forwarded.host, forwarded.source
        known = self._known.get(key)
        # What is discovered later is another object.
        if known is not None and known[0] is discovered:
            return known[1]
        request = request_to(backend.upstream.name, asked)
        lines = backend.responder.challenges(discovered.challenges, request)
        challenge = unauthorized(lines)
        self._known.put(key, (discovered, challenge))
        return challenge

    async def _learned(self, backend: Backend, asked: ApiRequest) -> Discovered | None:
        """Return what an upstream of which nothing is known says now, if it must."""
        upstream = backend.upstream
        if not (
            backend.policy.shares
            or len(asked.target.operation.upstreams) > 1
            or upstream.config.realm is not None
        ):
            return None
        # Relayed, the ping would be made with our account, or at another upstream, or
        # pass where a realm is written: the client would never be asked for its own.
        seconds = upstream.config.answer_timeout
        try:
            return await InTime(upstream.discover(), seconds, self._clock)
        except (HTTPError, TimeoutError):
            return None

    async def visible(self, principal: Principal) -> Callable[[str], bool]:
        """Return that everything is visible that the upstream shows."""
        return lambda name: True


class LocalGate:
    """Decides by our own accounts; with `basic` it asks for Basic, not for tokens."""

    def __init__(
        self,
        broker: LocalBroker,
        token_path: str,
        basic: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._mount_challenges = MountChallenges(now)
        self._token_path = token_path
        self._basic = basic
        self._known = BoundedMemory[tuple[object, ...], Unauthorized](
            MAX_KNOWN, weigh=_size_of, max_weight=MAX_KNOWN_BYTES
        )

    async def admit(self, asked: ApiRequest) -> ApiRequest | Unauthorized:
        """Let a request in whose principal has the right to it."""
        forwarded = asked.client.forwarded
        try:
            principal = await self._broker.identify(
                asked.client.authorization,
                forwarded.host,
                forwarded.address,
                asked.event,
            )
        except WrongToken:
            return self._unauthorized(asked, "invalid_token")
        if principal is None:
            return self._unauthorized(asked, None)
        asked.event.user = principal.user
        if not is_allowed(principal, asked):
            if principal.is_anonymous:
                return self._unauthorized(asked, None)
            if principal.has_token:
                return self._unauthorized(asked, "insufficient_scope")
            raise denial(principal, asked)
        asked = replace(asked, principal=principal)
        if asked.mount is not None:
            return self._admit_mount(principal, asked, asked.mount.route)
        return asked

    async def visible(self, principal: Principal) -> Callable[[str], bool]:
        """Return the names for which the principal has the ``catalog`` right."""
        return await self._broker.visible(principal)

    def _admit_mount(
        self, principal: Principal, asked: ApiRequest, source: Route
    ) -> ApiRequest | Unauthorized:
        """Return a mount, or an ordinary upload where the principal may not pull."""
        can_widen = principal.has_token and not principal.was_refused(
            source.public_name
        )
        asked = asked.mounted_by(self._mount_challenges, principal.user, can_widen)
        if principal.may(Action.PULL, source.public_name):
            return asked
        assert asked.mount is not None and asked.mount.attempt is not None
        if asked.mount.attempt.challenge():
            return self._unauthorized(asked, "insufficient_scope")
        return asked.without_mount()

    def _unauthorized(self, asked: ApiRequest, error: str | None) -> Unauthorized:
        """Return the challenge of a request: the same to all who ask for the same."""
        forwarded = asked.client.forwarded
        key = forwarded.scheme, forwarded.host, forwarded.source, asked.scopes, error
        known = self._known.get(key)
        if known is not None:
            return known
        challenge = basic_challenge(forwarded.host)
        if not self._basic:
            realm = forwarded.realm(self._token_path)
            service, scopes = self._broker.service(forwarded.host), asked.scopes
            challenge = bearer_challenge(realm, service, format_scopes(scopes), error)
        known = unauthorized([challenge])
        self._known.put(key, known)
        return known


def robot_token_refused(host: str, event: Event) -> Unauthorized:
    """Return the refusal of a robot token where the upstream knows the passwords."""
    # It is a password of ours for months, and the upstream is somebody else.
    event.login_problem = "a robot token goes to no upstream, and none is taken here"
    return unauthorized(
        [basic_challenge(host)], "robot tokens of regbroker are not taken here"
    )


def is_allowed(principal: Principal, asked: ApiRequest) -> bool:
    """Tell whether a principal has the right to a request, without its mount."""
    operation = asked.target.operation
    if operation.is_ping:
        # Clients bring credentials later only if they were asked for here.
        return not principal.is_anonymous
    if asked.target.endpoint is Endpoint.CATALOG:
        return principal.may_list
    if operation.is_about_everything:
        # Nothing says who may change what is everybody's.
        return principal.may_list and operation.action is Action.PULL
    return principal.may(operation.action, operation.routes[0].public_name)


def denial(principal: Principal, asked: ApiRequest) -> Denied:
    """Return the refusal for somebody who is known, and may not do this."""
    if asked.target.operation.is_about_everything:
        action = asked.target.operation.action.value
        return Denied(f"{principal.user} may not {action} for all of this")
    if asked.target.name is None:
        return Denied(f"{principal.user} may not list the repositories")
    return Denied(
        f"{principal.user} may not {asked.target.operation.action.value} here",
        detail={"name": asked.target.name},
    )
