"""
Who speaks upstream: what Authorization a relayed request carries.

One decision in one place. The relay asks its speaker, whoever that is, and
knows nothing of accounts and tokens itself.
"""

from __future__ import annotations

from typing import Protocol

from twisted.logger import Logger

from regbroker.credentials import Credentials
from regbroker.errors import UpstreamUnavailable
from regbroker.grants import Grant, TokenRequest, basic_authorization
from regbroker.scopes import Scope
from regbroker.upstreams import Upstream
from regbroker.upstreamtokens import TokenRefused, UpstreamTokens

_log = Logger()


class Speaker(Protocol):
    """Gives requests their Authorization."""

    async def authorization(
        self, given: str | None, needed: tuple[Scope, ...]
    ) -> str | None:
        """
        Return the header's value, or None for a request without it.

        `given` is what the client brought; `needed` is what the request needs,
        in upstream names. Raises `UpstreamError`.
        """

    def speaks_for_itself(self, given: str | None) -> bool:
        """Tell whether a 401 is about our own credentials, not the client's."""

    def refused(self) -> None:
        """Note that the upstream has refused what `authorization` returned."""


class ClientSpeaks:
    """The client's own Authorization goes on as it came."""

    async def authorization(
        self, given: str | None, needed: tuple[Scope, ...]
    ) -> str | None:
        """Return what the client brought."""
        return given

    def speaks_for_itself(self, given: str | None) -> bool:
        """It never does."""
        return False

    def refused(self) -> None:
        """The client is told; there is nothing to do here."""


class RegbrokerSpeaks:
    """
    regbroker's own account at the upstream, or nobody's.

    Towards an upstream with a token service a token is fetched for just what
    the request needs, and reused; towards others Basic is sent, or nothing
    without `credentials`.
    """

    def __init__(
        self,
        upstream: Upstream,
        tokens: UpstreamTokens,
        credentials: Credentials | None,
    ) -> None:
        self._upstream = upstream
        self._tokens = tokens
        self._credentials = credentials

    async def _request(self) -> TokenRequest:
        """Return a token request with our account's credentials."""
        if self._credentials is None:
            return TokenRequest("GET")
        user, password = await self._credentials.get()
        if user == "<token>":
            # What docker-credential helpers call an identity token.
            return TokenRequest("POST", refresh_token=password)
        return TokenRequest("GET", username=user, password=password)

    async def authorization(
        self, given: str | None, needed: tuple[Scope, ...]
    ) -> str | None:
        """Return our own Authorization, whatever the client brought."""
        known = await self._upstream.knowledge()
        if not known.challenges:
            return None
        if known.realm is not None:
            return f"Bearer {(await self.grant(needed)).token}"
        request = await self._request()
        if request.username:
            return basic_authorization(request).decode("ascii")
        return None

    async def grant(self, scopes: tuple[Scope, ...]) -> Grant:
        """
        Return a token of our account's for these scopes, in upstream names.

        Raises `UpstreamError`. Credentials that are refused are asked for
        anew, once.
        """
        for last in (False, True):
            try:
                return await self._tokens.get(await self._request(), scopes)
            except TokenRefused as refusal:
                self.refused()
                if last or refusal.reply.status not in (401, 403):
                    raise own_account_refused(
                        self._upstream, refusal.reply.status
                    ) from refusal
        raise AssertionError("the second try returns or raises")

    def speaks_for_itself(self, given: str | None) -> bool:
        """It always does."""
        return True

    def refused(self) -> None:
        """Ask for the credentials, and for tokens, anew."""
        self._tokens.forget()
        if self._credentials is not None:
            self._credentials.refused()


class SharedWithAnonymous:
    """
    The client's own Authorization; for clients that bring none, ours.

    `actions` are those that are lent, ``pull`` mostly.
    """

    def __init__(self, ours: RegbrokerSpeaks, actions: frozenset[str]) -> None:
        self._ours = ours
        self._actions = actions

    async def authorization(
        self, given: str | None, needed: tuple[Scope, ...]
    ) -> str | None:
        """Return what the client brought, else ours if the actions are lent."""
        if given is not None or lent(needed, self._actions) != needed:
            return given
        return await self._ours.authorization(None, needed)

    async def grant(self, scopes: tuple[Scope, ...]) -> Grant:
        """Return a token of our account's for what of `scopes` is lent."""
        return await self._ours.grant(lent(scopes, self._actions))

    def speaks_for_itself(self, given: str | None) -> bool:
        """It does when the client brought nothing."""
        return given is None

    def refused(self) -> None:
        """Ask for our credentials anew."""
        self._ours.refused()


def lent(scopes: tuple[Scope, ...], actions: frozenset[str]) -> tuple[Scope, ...]:
    """Return repository scopes cut down to some actions, without empty ones."""
    cut = (
        scope.with_actions(tuple(a for a in scope.actions if a in actions))
        for scope in scopes
        if scope.is_repository
    )
    return tuple(scope for scope in cut if scope.actions)


def own_account_refused(upstream: Upstream, status: int) -> UpstreamUnavailable:
    """Return the error for a client when the upstream refuses our own account."""
    _log.error(
        "[upstream {name}]: our own account was refused with status {status}; "
        "check username and password-file, or the credential helper",
        name=upstream.name,
        status=status,
    )
    return UpstreamUnavailable("the upstream registry refuses regbroker's own account")
