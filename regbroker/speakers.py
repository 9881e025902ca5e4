"""
Who speaks upstream: what Authorization a relayed request carries.

One decision in one place. The relay asks its speaker, whoever that is, and
knows nothing of accounts and tokens itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from twisted.logger import Logger

from regbroker.bundles import bundled_token
from regbroker.credentials import Credentials, Login
from regbroker.errors import (
    Denied,
    HTTPError,
    OwnAccountRefused,
    TokensUnavailable,
    TooManyRequests,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.grants import Grant, TokenRequest, basic_authorization
from regbroker.resting import Rest
from regbroker.scopes import Scope
from regbroker.tokenservice import TokenReply
from regbroker.upstreams import Upstream
from regbroker.upstreamtokens import TOKEN_SECONDS, TokenRefused, UpstreamTokens

OWN_ACCOUNT_REFUSED = "the upstream registry refuses regbroker's own account"

_log = Logger()


@dataclass(frozen=True)
class Spoken:
    """
    What a request says upstream: the value of Authorization, or None.

    `is_ours` says that a 401 is about our own account, not the client's; `login`
    and `scopes` are what it was made of.
    """

    value: str | None = field(repr=False)
    is_ours: bool = False
    login: Login | None = None
    scopes: tuple[Scope, ...] = ()


class Speaker(Protocol):
    """Gives requests their Authorization."""

    async def speak(self, given: str | None, needed: tuple[Scope, ...]) -> Spoken:
        """
        Return what a request is to say.

        `given` is what the client brought; `needed` is what the request needs,
        in upstream names. Raises `UpstreamError`.
        """

    def refused(self, spoken: Spoken) -> None:
        """Note that the upstream has refused what was ours."""


class ClientSpeaks:
    """The client's own Authorization goes on as it came."""

    async def speak(self, given: str | None, needed: tuple[Scope, ...]) -> Spoken:
        """Return what the client brought."""
        return Spoken(given)

    def refused(self, spoken: Spoken) -> None:
        """Do nothing: the client is told."""


class BundleSpeaks:
    """
    The client's own token for one upstream, out of its bundle.

    Passwords go on as they came: clients have accounts at this upstream.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream

    async def speak(self, given: str | None, needed: tuple[Scope, ...]) -> Spoken:
        """Return what of the client's is for this upstream."""
        scheme, _, token = (given or "").partition(" ")
        if scheme.lower() != "bearer":
            return Spoken(given)
        own = bundled_token(token.strip(), self._upstream)
        return Spoken(None if own is None else f"Bearer {own}")

    def refused(self, spoken: Spoken) -> None:
        """Do nothing: the client is told."""


class RegbrokerSpeaks:
    """
    regbroker's own account at the upstream, or nobody's.

    Towards an upstream with a token service a token is fetched for just what
    the request needs, and reused; towards others Basic is sent, or nothing
    without `credentials`. A login that the token service has never taken is not
    shown to it with every request: many lock the account. `now` returns seconds.
    """

    def __init__(
        self,
        upstream: Upstream,
        tokens: UpstreamTokens,
        credentials: Credentials | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._tokens = tokens
        self._credentials = credentials
        self._now = now
        self._taken: Login | None = None
        self._refused: Login | None = None
        self._rest = Rest(now, TOKEN_SECONDS)

    async def speak(self, given: str | None, needed: tuple[Scope, ...]) -> Spoken:
        """Return our own Authorization, whatever the client brought."""
        known = await self._upstream.knowledge()
        if not known.challenges:
            return Spoken(None, True)
        login = await self._login()
        if known.realm is not None:
            grant = await self._grant(login, needed)
            return Spoken(f"Bearer {grant.token}", True, login, needed)
        if login is None or login.identity_token:
            return Spoken(None, True, login)
        basic = basic_authorization(_token_request(login))
        return Spoken(basic.decode("ascii"), True, login)

    async def grant(self, scopes: tuple[Scope, ...]) -> Grant:
        """
        Return a token of our account's for these scopes, in upstream names.

        Raises `UpstreamError`.
        """
        return await self._grant(await self._login(), scopes)

    def refused(self, spoken: Spoken) -> None:
        """Ask for the credentials, and for that token, anew."""
        self._forget(spoken.login, spoken.scopes)

    async def _login(self) -> Login | None:
        return None if self._credentials is None else await self._credentials.get()

    async def _grant(self, login: Login | None, scopes: tuple[Scope, ...]) -> Grant:
        if login is None or login != self._refused or self._rest.may_ask():
            try:
                return await self._grant_once(login, scopes)
            except TokenRefused as refusal:
                self._note_refusal(refusal, login, scopes)
        # The password may be another one by now.
        self._forget(login, scopes)
        again = await self._login()
        if again == login:
            raise OwnAccountRefused(OWN_ACCOUNT_REFUSED)
        try:
            return await self._grant_once(again, scopes)
        except TokenRefused as refusal:
            self._note_refusal(refusal, again, scopes)
            raise OwnAccountRefused(OWN_ACCOUNT_REFUSED) from refusal

    async def _grant_once(
        self, login: Login | None, scopes: tuple[Scope, ...]
    ) -> Grant:
        try:
            grant = await self._tokens.get(_token_request(login), scopes)
        except (UpstreamUnavailable, UpstreamTimeout) as error:
            # The registry itself may be well.
            raise TokensUnavailable(error.status, error.headers, error.cause) from error
        self._taken, self._refused = login, None
        return grant

    def _note_refusal(
        self, refusal: TokenRefused, login: Login | None, scopes: tuple[Scope, ...]
    ) -> None:
        """Note that a login was refused; raises for what is no refusal of it."""
        status = refusal.reply.status
        if status != 401 or login is None:
            raise _no_token(refusal.reply, self._upstream, scopes) from refusal
        own_account_refused(self._upstream, status)
        if login == self._taken:
            # It is refused for what it asks for, perhaps.
            return
        if login != self._refused:
            self._rest = Rest(self._now, TOKEN_SECONDS)
        self._refused = login
        self._rest.failed(status, None, self._now())

    def _forget(self, login: Login | None, scopes: tuple[Scope, ...]) -> None:
        self._tokens.forget(_token_request(login), scopes)
        if self._credentials is not None and login is not None:
            self._credentials.refused(login)


class SharedWithAnonymous:
    """
    The client's own Authorization; for clients that bring none, ours.

    `clients` says what is a client's own; `actions` are those that are lent,
    ``pull`` mostly.
    """

    def __init__(
        self, clients: Speaker, ours: RegbrokerSpeaks, actions: frozenset[str]
    ) -> None:
        self._clients = clients
        self._ours = ours
        self._actions = actions

    async def speak(self, given: str | None, needed: tuple[Scope, ...]) -> Spoken:
        """Return what the client brought, else ours if all that it needs is lent."""
        if given is not None or lent(needed, self._actions) != needed:
            return await self._clients.speak(given, needed)
        return await self._ours.speak(None, needed)

    def lent(self, scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
        """Return what of `scopes` is lent to a client without credentials."""
        return lent(scopes, self._actions)

    async def grant(self, scopes: tuple[Scope, ...]) -> Grant:
        """Return a token of our account's for what of `scopes` is lent."""
        return await self._ours.grant(self.lent(scopes))

    def refused(self, spoken: Spoken) -> None:
        """Ask for our credentials anew."""
        self._ours.refused(spoken)


class NoAccountSpeaks:
    """
    For an upstream at which clients have no account: nobody's, or ours where lent.

    What the client brings is for another upstream, and never goes to this one.
    """

    def __init__(
        self, nobody: RegbrokerSpeaks, ours: RegbrokerSpeaks, actions: frozenset[str]
    ) -> None:
        self._nobody = nobody
        self._ours = ours
        self._actions = actions

    async def speak(self, given: str | None, needed: tuple[Scope, ...]) -> Spoken:
        """Return ours if all that is needed is lent, else nobody's."""
        is_lent = bool(self._actions) and lent(needed, self._actions) == needed
        speaker = self._ours if is_lent else self._nobody
        return await speaker.speak(None, needed)

    def refused(self, spoken: Spoken) -> None:
        """Ask for our credentials anew."""
        self._ours.refused(spoken)


def _token_request(login: Login | None) -> TokenRequest:
    if login is None:
        return TokenRequest("GET")
    if login.identity_token:
        return TokenRequest("POST", refresh_token=login.identity_token)
    return TokenRequest("GET", username=login.user, password=login.password)


def _no_token(
    reply: TokenReply, upstream: Upstream, scopes: tuple[Scope, ...]
) -> HTTPError:
    """Return the error for a token service that gives our account no token."""
    message = "the upstream's token service gives regbroker no token now"
    waiting = reply.headers.getRawHeaders(b"Retry-After", ())
    headers = [(b"Retry-After", value) for value in waiting]
    if reply.status == 429:
        return TooManyRequests(message, headers=headers)
    if reply.status >= 500:
        return TokensUnavailable(UpstreamUnavailable.status, headers)
    if scopes:
        # Many refuse what is not there, or what they cannot read, in this way.
        return Denied("regbroker's own account has no right to this upstream")
    return own_account_refused(upstream, reply.status)


def lent(scopes: tuple[Scope, ...], actions: frozenset[str]) -> tuple[Scope, ...]:
    """Return repository scopes cut down to some actions, without empty ones."""
    cut = (
        scope.with_actions(tuple(a for a in scope.actions if a in actions))
        for scope in scopes
        if scope.is_repository
    )
    return tuple(scope for scope in cut if scope.actions)


def own_account_refused(upstream: Upstream, status: int) -> OwnAccountRefused:
    """Return the error for a client when the upstream refuses our own account."""
    _log.error(
        "[upstream {name}]: our own account was refused with status {status}; "
        "check username and password-file, or the credential helper",
        name=upstream.name,
        status=status,
    )
    return OwnAccountRefused(OWN_ACCOUNT_REFUSED)
