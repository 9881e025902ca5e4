"""Tokens of our own account, and what is said when there is none."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regbroker.causes import Cause
from regbroker.errors import (
    Denied,
    OwnAccountRefused,
    TokensUnavailable,
    TooManyRequests,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.protocol.scopes import Scope, repository_scope
from regbroker.protocol.token_replies import IssuedToken
from regbroker.protocol.token_requests import TokenRequest
from regbroker.upstream.credentials import TOKEN_USER, Login
from regbroker.upstream.own_login import OwnLoginRefused
from regbroker.upstream.own_tokens import OwnTokens, token_request
from regbroker.upstream.token_service import TokenReply
from regbroker.upstream.tokens import TokenRefused

PULL = (repository_scope("acme_team/app", "pull"),)
ROBOT = Login("robot", "s3cret")
IDENTITY = Login(TOKEN_USER, "identity")
TOKEN = IssuedToken("t0ken", 1e9, received=0.0)


class FakeTokens:
    """A token service that gives a token, or fails with what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[tuple[TokenRequest, tuple[Scope, ...], float | None]] = []

    def cached(
        self, request: TokenRequest, scopes: tuple[Scope, ...]
    ) -> IssuedToken | None:
        return TOKEN if request == token_request(ROBOT) else None

    async def get(
        self,
        request: TokenRequest,
        scopes: tuple[Scope, ...],
        max_age: float | None = None,
        is_own: bool = False,
    ) -> IssuedToken:
        assert is_own
        self.asked.append((request, scopes, max_age))
        if self.error is not None:
            raise self.error
        return TOKEN


def refused(status: int, *retry_after: bytes) -> TokenRefused:
    """What the token service's refusal becomes."""
    headers = Headers({b"Retry-After": list(retry_after)} if retry_after else {})
    return TokenRefused(TokenReply(status, headers, b""))


class OwnTokensTests(SynchronousTestCase):
    def error(
        self,
        kind: type[Exception],
        error: Exception,
        login: Login | None = ROBOT,
        scopes: tuple[Scope, ...] = PULL,
    ) -> Any:
        """What asking fails with."""
        own = OwnTokens(cast(Any, FakeTokens(error)))
        getting = Deferred.fromCoroutine(own.get(login, scopes))
        return self.failureResultOf(getting, kind).value

    def test_get(self) -> None:
        """The login asks as it is: with Basic, with a form, or as nobody."""
        for login, request in (
            (ROBOT, TokenRequest("GET", username="robot", password="s3cret")),
            (IDENTITY, TokenRequest("POST", refresh_token="identity")),
            (None, TokenRequest("GET")),
        ):
            tokens = FakeTokens()
            own = OwnTokens(cast(Any, tokens))
            done = self.assertRaises(
                StopIteration, own.get(login, PULL, 0.0).send, None
            )
            self.assertIs(done.value, TOKEN)
            self.assertEqual(tokens.asked, [(request, PULL, 0.0)])

    def test_cached(self) -> None:
        """A token that is kept is that of the same login."""
        own = OwnTokens(cast(Any, FakeTokens()))
        self.assertIs(own.cached(ROBOT, PULL), TOKEN)
        self.assertIsNone(own.cached(None, PULL))

    def test_login_refused(self) -> None:
        """401 is about the login, and 400 about an identity token."""
        for login, status in ((ROBOT, 401), (None, 401), (IDENTITY, 400)):
            error = self.error(OwnLoginRefused, refused(status), login)
            self.assertEqual(error.status, status)
        self.error(Denied, refused(400), ROBOT)

    def test_limit(self) -> None:
        """429 says when to come again."""
        error = self.error(TooManyRequests, refused(429, b"7"))
        self.assertEqual(error.header(b"Retry-After"), "7")

    def test_unavailable(self) -> None:
        """500 and above are the token service's own failure."""
        error = self.error(TokensUnavailable, refused(503, b"9"))
        self.assertEqual((error.status, error.header(b"Retry-After")), (503, "9"))

    def test_no_right(self) -> None:
        """Another refusal is about the scopes; without scopes it is about us."""
        self.error(Denied, refused(403))
        self.error(OwnAccountRefused, refused(403), scopes=())

    def test_no_answer(self) -> None:
        """A token service that does not answer is told from the registry."""
        for failure in (
            UpstreamUnavailable("it is down", cause=Cause.TOKENS_UNREACHABLE),
            UpstreamTimeout("it is slow", cause=Cause.TOKENS_IDLE),
        ):
            error = self.error(TokensUnavailable, failure)
            self.assertEqual(
                (error.status, error.cause), (failure.status, failure.cause)
            )
