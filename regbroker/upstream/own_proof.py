"""
A login of our own account is tried on its own.

What the upstream says to that is about the login alone. Where it has a token service,
a token without scopes is asked for; elsewhere Basic is sent along with a request that
reads.
"""

from __future__ import annotations

from twisted.internet.defer import TimeoutError
from twisted.internet.interfaces import IReactorTime

from regbroker.errors import OwnAccountRefused, UpstreamTimeout
from regbroker.protocol.basic_credentials import format_basic
from regbroker.protocol.bodies import MAX_LIST_BYTES
from regbroker.protocol.names import PING_PATH
from regbroker.runtime.in_time import InTime
from regbroker.upstream.authorization import Refusal
from regbroker.upstream.credentials import Login
from regbroker.upstream.own_login import TRIAL_SECONDS, OwnLoginRefused
from regbroker.upstream.own_requests import ask_for_ourselves, proof_target
from regbroker.upstream.own_tokens import OwnTokens
from regbroker.upstream.registry import Upstream


class LoginProof:
    """Logs in at one upstream for nothing else; `clock` is the reactor."""

    def __init__(
        self, upstream: Upstream, tokens: OwnTokens, clock: IReactorTime
    ) -> None:
        self._upstream = upstream
        self._tokens = tokens
        self._clock = clock

    async def prove(self, login: Login, about: frozenset[str]) -> None:
        """
        Log in for nothing else; see `regbroker.upstream.own_login.Prove`.

        Does nothing where the upstream asks for no login, or does not take this kind.
        """
        discovered = await self._upstream.discover()
        if discovered.realm is not None:
            try:
                await self._tokens.get(login, (), max_age=0.0)
            except OwnAccountRefused as error:
                raise OwnLoginRefused(403) from error
        elif discovered.proof and not login.identity_token:
            # Where the ping passes, what is needed says more than what was once.
            is_ping = discovered.proof == PING_PATH or not about
            target = discovered.proof if is_ping else proof_target(min(about))
            proving = self._prove_at(target, login)
            try:
                await InTime(proving, TRIAL_SECONDS, self._clock)
            except TimeoutError:
                raise UpstreamTimeout("the upstream registry did not answer") from None

    async def _prove_at(self, target: str, login: Login) -> None:
        reply, text = await ask_for_ourselves(
            self._upstream.request,
            "GET",
            target,
            authorization=format_basic(login.user, login.password),
            max_bytes=MAX_LIST_BYTES,
        )
        refusal = Refusal(reply.status, (), text)
        if refusal.status == 401 or refusal.says_expired:
            raise OwnLoginRefused(refusal.status)
