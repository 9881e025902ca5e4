"""
The token service over HTTP: ``GET /token``, and ``POST /token`` as OAuth2.

Sources: distribution's ``docs/content/spec/auth/token.md`` and ``oauth.md``.
A wrong password is 401; no credentials are a stranger's request, which is
answered with a token that allows little or nothing.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs

from twisted.web.server import Request

from regbroker.errors import BadRequest, MethodNotAllowed, Unauthorized
from regbroker.protocol.challenges import basic_challenge, unauthorized
from regbroker.protocol.scopes import format_scopes, parse_scopes
from regbroker.sandbox.tokens import LIFETIME, Tokens, Users
from regbroker.transport.replies import send_json
from regbroker.transport.request_bodies import read_body

SERVICE = "regbroker-sandbox"

#: A form holds credentials and scopes: what also fits a request line.
MAX_FORM_BYTES = 64 * 1024

Form = dict[str, list[str]]


class TokenEndpoint:
    """Answers requests for tokens."""

    def __init__(self, users: Users, tokens: Tokens) -> None:
        self._users = users
        self._tokens = tokens

    async def answer(self, request: Request) -> None:
        """Send a token, or raise the `HTTPError` that says why not."""
        if request.method == b"GET":
            query = parse_form(request.uri.partition(b"?")[2])
            send_json(request, self._by_query(request, query))
        elif request.method == b"POST":
            form = parse_form(await read_body(request, MAX_FORM_BYTES))
            send_json(request, self._by_form(form))
        else:
            raise MethodNotAllowed(
                "the token service takes GET and POST",
                headers=[(b"Allow", b"GET, POST")],
            )

    def _by_query(self, request: Request, query: Form) -> dict[str, Any]:
        user = self._basic_user(request)
        reply = self._token(user, query)
        del reply["scope"]
        if first(query, "offline_token") in ("true", "1") and user is not None:
            reply["refresh_token"] = self._tokens.issue_refresh(user)
        return reply

    def _by_form(self, form: Form) -> dict[str, Any]:
        grant_type = first(form, "grant_type")
        refresh = first(form, "refresh_token")
        user: str | None
        if grant_type == "password":
            user, refresh = first(form, "username"), ""
            if not self._users.check(user, first(form, "password")):
                raise _unauthorized()
        elif grant_type == "refresh_token":
            user = self._tokens.find_refresh(refresh)
            if user is None:
                raise _unauthorized("the refresh token is unknown here")
        else:
            raise BadRequest("grant_type must be password or refresh_token")
        reply = self._token(user, form)
        if first(form, "access_type") == "offline":
            reply["refresh_token"] = refresh or self._tokens.issue_refresh(user)
        return reply

    def _token(self, user: str | None, form: Form) -> dict[str, Any]:
        service = first(form, "service")
        if service not in ("", SERVICE):
            raise BadRequest(f"tokens are made here for the service {SERVICE} alone")
        token, grant = self._tokens.issue(user, parse_scopes(form.get("scope", [])))
        issued = datetime.fromtimestamp(grant.issued, timezone.utc)
        return {
            "token": token,
            "access_token": token,
            "expires_in": LIFETIME,
            "issued_at": issued.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "scope": format_scopes(grant.scopes),
        }

    def _basic_user(self, request: Request) -> str | None:
        header = request.getHeader("Authorization")
        if header is None:
            return None
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            raise _unauthorized("the token service takes Basic credentials")
        try:
            decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise _unauthorized("these are not Basic credentials") from None
        user, _, password = decoded.partition(":")
        if not self._users.check(user, password):
            raise _unauthorized()
        return user


def parse_form(data: bytes) -> Form:
    """Parse a query or a form; what is not UTF-8 in it becomes U+FFFD."""
    return parse_qs(
        data.decode("ascii", "replace"), keep_blank_values=True, errors="replace"
    )


def first(form: Form, name: str) -> str:
    """Return a parameter's first value, or the empty string."""
    return form.get(name, [""])[0]


def _unauthorized(message: str = "user or password is wrong") -> Unauthorized:
    return unauthorized([basic_challenge(SERVICE)], message)
