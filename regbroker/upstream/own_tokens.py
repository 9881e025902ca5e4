"""Tokens that regbroker's own account gets from the token service of an upstream."""

from __future__ import annotations

from regbroker.errors import (
    Denied,
    HTTPError,
    OwnAccountRefused,
    TokensUnavailable,
    TooManyRequests,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.protocol.retry_after import passed_on
from regbroker.protocol.scopes import Scope
from regbroker.protocol.token_replies import IssuedToken
from regbroker.protocol.token_requests import TokenRequest
from regbroker.upstream.credentials import Login
from regbroker.upstream.own_login import NO_RIGHT, OWN_ACCOUNT_REFUSED, OwnLoginRefused
from regbroker.upstream.token_service import TokenReply
from regbroker.upstream.tokens import TokenRefused, UpstreamTokens


class OwnTokens:
    """Asks for tokens with a login, or as nobody; its errors are about our account."""

    def __init__(self, tokens: UpstreamTokens) -> None:
        self._tokens = tokens

    def cached(
        self, login: Login | None, scopes: tuple[Scope, ...]
    ) -> IssuedToken | None:
        """Return a token for these scopes that is kept; None when there is none."""
        return self._tokens.cached(token_request(login), scopes)

    async def get(
        self,
        login: Login | None,
        scopes: tuple[Scope, ...],
        max_age: float | None = None,
    ) -> IssuedToken:
        """
        Return a token for these scopes, in upstream names; see `UpstreamTokens.get`.

        Raises `OwnLoginRefused` when the token service does not take the login. Raises
        `Denied`, `OwnAccountRefused`, `TooManyRequests` or `TokensUnavailable` when
        it gives no token for another reason.
        """
        try:
            return await self._tokens.get(
                token_request(login), scopes, max_age, is_own=True
            )
        except TokenRefused as refusal:
            if _is_about_login(refusal.reply.status, login):
                raise OwnLoginRefused(refusal.reply.status) from refusal
            raise _no_token(refusal.reply, scopes) from refusal
        except (UpstreamUnavailable, UpstreamTimeout) as error:
            # The registry itself may be well.
            raise TokensUnavailable(error.status, error.headers, error.cause) from error


def token_request(login: Login | None) -> TokenRequest:
    """Return how a login asks for a token; None is nobody's."""
    if login is None:
        return TokenRequest("GET")
    if login.identity_token:
        return TokenRequest("POST", refresh_token=login.identity_token)
    return TokenRequest("GET", username=login.user, password=login.password)


def _is_about_login(status: int, login: Login | None) -> bool:
    if login is not None and login.identity_token:
        # invalid_grant, of RFC 6749, 5.2.
        return status in (400, 401)
    return status == 401


def _no_token(reply: TokenReply, scopes: tuple[Scope, ...]) -> HTTPError:
    """Return the error for a token service that gives our account no token."""
    headers = passed_on(reply.header(b"Retry-After"))
    if reply.status == 429:
        return TooManyRequests(
            "the upstream's token service gives regbroker no token now",
            headers=headers,
        )
    if reply.status >= 500:
        return TokensUnavailable(UpstreamUnavailable.status, headers)
    if not scopes:
        return OwnAccountRefused(OWN_ACCOUNT_REFUSED)
    # Many refuse what is not there, or what they cannot read, in this way.
    return Denied(NO_RIGHT)
