"""
regbroker's own account at an upstream: one, whoever needs it and for what.

Made once with the upstream, it is shared by every registry in front of it. Three
refusals are told apart:

- The login is wrong: 401 to Basic, or from the token service to a login.
- The login has run out: 403 to Basic, as ECR says it.
- The login is good, and has no right to this: a token got a moment ago is refused,
  whatever the challenge says. Harbor answers with Basic, Quay without an error.

After the first two the credentials are asked for again. If they are the same still,
they are not shown again before a pause has passed, and then by a login of our own.
The third is the client's answer.

How often the login itself is shown is `regbroker.upstream.own_login`'s affair.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regbroker.errors import Denied, HTTPError, OwnAccountRefused
from regbroker.protocol.basic_credentials import format_basic
from regbroker.protocol.scopes import Scope
from regbroker.protocol.token_replies import IssuedToken
from regbroker.upstream.authorization import Authorization, Refusal, wider_scopes
from regbroker.upstream.circuit_breaker import CircuitBreaker
from regbroker.upstream.credentials import Credentials, Login
from regbroker.upstream.login_turns import Turn
from regbroker.upstream.own_login import (
    NO_RIGHT,
    OWN_ACCOUNT_REFUSED,
    OwnLogin,
    OwnLoginRefused,
)
from regbroker.upstream.own_proof import LoginProof
from regbroker.upstream.own_tokens import OwnTokens
from regbroker.upstream.policy import CredentialOwner
from regbroker.upstream.registry import Upstream
from regbroker.upstream.tokens import UpstreamTokens

NO_ACCOUNT = "the upstream registry gives this to nobody without an account"

#: A login that was taken so little time ago is not tried before Basic is sent.
PROVED_SECONDS = 10.0

#: Between two questions for another login after a 403 that does not say why.
FIRST_RENEWAL_SECONDS = 5.0
LAST_RENEWAL_SECONDS = 600.0

_log = Logger()


class OwnAccount:
    """
    Our account at one upstream; nobody's, without `credentials`.

    Towards an upstream with a token service a token is fetched for just what a
    request needs, and reused; towards others Basic is sent. `clock` is the reactor.
    """

    def __init__(
        self,
        upstream: Upstream,
        tokens: UpstreamTokens,
        credentials: Credentials | None,
        clock: IReactorTime,
    ) -> None:
        self._upstream = upstream
        self._tokens = tokens
        self._clock = clock
        self._own_tokens = OwnTokens(tokens)
        self._proof = LoginProof(upstream, self._own_tokens, clock)
        self._login: OwnLogin | None = None
        if credentials is not None:
            self._login = OwnLogin(upstream.name, credentials, self._proof.prove, clock)
        self._owner = (
            CredentialOwner.NOBODY if credentials is None else CredentialOwner.OURS
        )
        self._renewals = CircuitBreaker(
            clock.seconds, 0.0, FIRST_RENEWAL_SECONDS, LAST_RENEWAL_SECONDS
        )
        self._has_complained = False

    def close(self) -> None:
        """End what is under way for credentials."""
        if self._login is not None:
            self._login.close()

    async def authorize(self, needed: tuple[Scope, ...]) -> Authorization:
        """
        Return what a request is to say that needs these scopes, in upstream names.

        `answered` and `reconsider` release it; who asks does so when there is no
        answer. Raises `UpstreamError`, `Denied` or `TooManyRequests`.
        """
        discovered = await self._upstream.discover()
        if discovered.realm is not None:
            return await self._bearer(needed)
        if not discovered.proof or self._login is None:
            return Authorization(self._owner, None)
        return await self._basic(self._login, needed)

    async def grant(self, scopes: tuple[Scope, ...]) -> IssuedToken:
        """Return a token for these scopes, in upstream names; raises the same."""
        own = self._login
        if own is None:
            try:
                return await self._own_tokens.get(None, scopes)
            except OwnLoginRefused:
                raise Denied(NO_ACCOUNT) from None
        login = await own.current()
        cached = self._own_tokens.cached(login, scopes)
        if cached is not None:
            return cached

        async def show(login: Login, _: Turn) -> IssuedToken:
            started = self._clock.seconds()
            try:
                grant = await self._own_tokens.get(login, scopes)
            except Denied:
                if not own.was_taken(login):
                    # Some say 403 to a wrong password, too.
                    await self._proof.prove(login, frozenset())
                own.confirmed(login, started)
                raise
            own.confirmed(login, started)
            return grant

        return await own.use(_names(scopes), show)

    def answered(self, authorization: Authorization) -> None:
        """Note that the registry has answered a request, and not refused it."""
        if self._login is not None and authorization.login is not None:
            self._login.confirmed(authorization.login, authorization.made)
        authorization.release()

    async def reconsider(
        self, authorization: Authorization, needed: tuple[Scope, ...], refusal: Refusal
    ) -> Authorization | None:
        """
        Return what to say instead of what was refused; None if that is the answer.

        Raises `Denied` or `OwnAccountRefused` when there is nothing else to say, and
        what `authorize` raises.
        """
        if authorization.grant is not None:
            return await self._after_token(authorization, authorization.grant, refusal)
        if self._login is not None and authorization.login is not None:
            return await self._after_login(
                self._login, authorization, authorization.login, needed, refusal
            )
        if refusal.status != 401:
            return None
        again = await self.authorize(needed)
        if again.value is None:
            raise self._wanting()
        return again

    # Tokens.

    async def _bearer(self, scopes: tuple[Scope, ...]) -> Authorization:
        asked = self._tokens.now()
        grant = await self.grant(scopes)
        return Authorization(
            self._owner,
            f"Bearer {grant.token}",
            grant=grant,
            scopes=scopes,
            is_fresh=grant.received >= asked,
        )

    async def _after_token(
        self, authorization: Authorization, grant: IssuedToken, refusal: Refusal
    ) -> Authorization | None:
        wider = wider_scopes(authorization.scopes, refusal.challenges)
        if refusal.status == 401 and wider != authorization.scopes:
            return await self._bearer(wider)
        self._tokens.drop(grant.token)
        if not authorization.is_fresh:
            return await self._bearer(authorization.scopes)
        if refusal.status == 401:
            # Many registries say so for a repository that is not there, too.
            raise Denied(NO_ACCOUNT if self._login is None else NO_RIGHT)
        return None

    # Basic.

    async def _basic(self, own: OwnLogin, needed: tuple[Scope, ...]) -> Authorization:
        async def show(login: Login, turn: Turn) -> Authorization:
            await own.prove(login, _names(needed), PROVED_SECONDS)
            if login.identity_token:
                # It is no password: only a token service takes it.
                return Authorization(self._owner, None)
            turn.keep()
            value = format_basic(login.user, login.password).decode("ascii")
            made = self._clock.seconds()
            return Authorization(
                self._owner, value, login=login, made=made, release=turn.end
            )

        return await own.use(_names(needed), show)

    async def _after_login(
        self,
        own: OwnLogin,
        authorization: Authorization,
        login: Login,
        needed: tuple[Scope, ...],
        refusal: Refusal,
    ) -> Authorization | None:
        about = _names(needed)
        is_refused = refusal.status == 401 or refusal.says_expired
        if is_refused:
            own.refused(login, refusal.status, about, authorization.made)
        authorization.release()
        if not is_refused and not self._renewals.may_ask():
            return None
        if is_refused and own.is_lacking(login, about):
            raise Denied(NO_RIGHT)
        started = self._clock.seconds()
        if await own.another(login) != login:
            self._renewals.succeeded(started)
            return await self._basic(own, needed)
        if is_refused:
            raise OwnAccountRefused(OWN_ACCOUNT_REFUSED)
        self._renewals.failed(refusal.status, None, started)
        return None

    def _wanting(self) -> HTTPError:
        """Return the error for an upstream that wants more than there is to say."""
        discovered = self._upstream.discovered
        if discovered is None or not discovered.challenges:
            return Denied(NO_ACCOUNT)
        if not self._has_complained and not discovered.problem:
            self._has_complained = True
            _log.error(
                "[upstream {name}]: it wants a password, and there is none here; write "
                "username and password-file, or credential-helper",
                name=self._upstream.name,
            )
        return OwnAccountRefused(
            "the upstream registry wants an account, and regbroker has none there"
        )


def _names(scopes: Iterable[Scope]) -> frozenset[str]:
    return frozenset(scope.name for scope in scopes if scope.is_repository)
