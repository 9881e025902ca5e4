"""
The token service over HTTP: ``GET /token``, and ``POST /token`` as OAuth2.

A wrong password is 401; no credentials are a stranger's request, which is
answered with a token that allows little or nothing.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.web.server import Request

from regbroker.errors import BadRequest, MethodNotAllowed, Unauthorized
from regbroker.protocol.challenges import format_challenge
from regbroker.protocol.scopes import format_scopes
from regbroker.protocol.token_exchange import (
    IssuedToken,
    TokenRequest,
    format_reply,
    parse_basic,
    parse_get,
    parse_post,
)
from regbroker.sandbox.tokens import SERVICE, Tokens, Users
from regbroker.transport.body_reading import read_body
from regbroker.transport.replies import send_bytes

#: A form holds credentials and scopes: what also fits a request line.
MAX_FORM_BYTES = 64 * 1024

_CHALLENGE = (b"WWW-Authenticate", format_challenge("Basic", [("realm", SERVICE)]))


class TokenResource:
    """Answers requests for tokens."""

    def __init__(self, users: Users, tokens: Tokens) -> None:
        self._users = users
        self._tokens = tokens

    async def answer(self, request: Request) -> None:
        """Send a token, or raise the `HTTPError` that says why not."""
        if request.method == b"GET":
            query = request.uri.partition(b"?")[2].decode("latin-1")
            asked = _with_basic(parse_get(query, None), request)
        elif request.method == b"POST":
            asked = parse_post(await read_body(request, MAX_FORM_BYTES))
        else:
            raise MethodNotAllowed(
                "the token service takes GET and POST",
                headers=[(b"Allow", b"GET, POST")],
            )
        send_bytes(request, 200, b"application/json", self._reply(asked))

    def _reply(self, asked: TokenRequest) -> bytes:
        user = self._user(asked)
        if asked.service not in ("", SERVICE):
            raise BadRequest(f"tokens are made here for the service {SERVICE} alone")
        text = self._tokens.issue(user, asked.scopes)
        token = self._tokens.find(text)
        assert token is not None
        refresh = asked.refresh_token if asked.offline else ""
        if asked.offline and user is not None and not refresh:
            refresh = self._tokens.issue_refresh(user)
        scope = format_scopes(token.access) if asked.method == "POST" else None
        issued = IssuedToken(text, token.expires, None, refresh)
        return format_reply(issued, scope, asked.method, token.issued)

    def _user(self, asked: TokenRequest) -> str | None:
        """Return who asks, None for a stranger; raises `Unauthorized`."""
        if asked.is_anonymous:
            return None
        if asked.refresh_token:
            user = self._tokens.find_refresh(asked.refresh_token)
            if user is None:
                raise _unauthorized("the refresh token is unknown here")
            return user
        if not self._users.check(asked.username, asked.password):
            raise _unauthorized("the user name or the password is wrong")
        return asked.username


def _with_basic(asked: TokenRequest, request: Request) -> TokenRequest:
    """Add the credentials of a request; what are none is 401, as what is wrong."""
    header = request.getHeader("Authorization")
    if header is None:
        return asked
    try:
        basic = parse_basic(header)
    except BadRequest as error:
        raise _unauthorized(error.message) from None
    if basic is None:
        raise _unauthorized("the token service takes Basic credentials")
    return replace(asked, username=basic[0], password=basic[1])


def _unauthorized(message: str) -> Unauthorized:
    return Unauthorized(message, headers=[_CHALLENGE])
