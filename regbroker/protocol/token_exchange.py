"""
Token requests and token replies, as clients and token services write them.

Source: distribution's ``docs/content/spec/auth/token.md`` (GET) and
``oauth.md`` (POST).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from regbroker.errors import BadRequest, UpstreamMalformed
from regbroker.protocol.bodies import parse_object
from regbroker.protocol.queries import Query, parse_query
from regbroker.protocol.scopes import Scope, format_scopes, parse_scopes

#: crane reads no more of a reply.
MAX_REPLY_BYTES = 64 * 1024

#: What a token lives when its reply does not say, and what clients take for
#: the least that any token lives.
MIN_LIFE_SECONDS = 60

#: Of what a client calls itself, and of what a token is for, in characters.
MAX_LABEL_LENGTH = 256

_MAX_LIFE_SECONDS = 10 * 365 * 86400


@dataclass(frozen=True)
class TokenRequest:
    """
    What a client asks the token service for.

    Without `username` and `refresh_token` the client is anonymous. `offline`
    asks for a refresh token.
    """

    method: str
    service: str = ""
    scopes: tuple[Scope, ...] = ()
    client_id: str = ""
    account: str = ""
    offline: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)

    @property
    def is_anonymous(self) -> bool:
        """Whether the client brought no credentials."""
        return not (self.username or self.refresh_token)

    @property
    def user(self) -> str:
        """The user for the log; ``-`` for a refresh token, which names nobody."""
        return self.username or ("-" if self.refresh_token else "")


def parse_basic(authorization: str) -> tuple[str, str] | None:
    """Return user and password of Basic credentials; None for other schemes."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("the Basic credentials are not base64") from None
    user, colon, password = decoded.decode("utf-8", "surrogateescape").partition(":")
    if not colon:
        raise BadRequest("the Basic credentials have no colon")
    if password and not user:
        raise BadRequest("the Basic credentials have a password, but no user name")
    return user, password


def parse_get(query: str | Query, authorization: str | None) -> TokenRequest:
    """Parse ``GET ?service=…&scope=…``; raises `BadRequest`."""
    parameters = parse_query(query).parameters()
    basic = parse_basic(authorization) if authorization else None
    if authorization and basic is None:
        raise BadRequest("the token service takes Basic credentials, or none")
    first = _first_values(parameters)
    username, password = basic or ("", "")
    return TokenRequest(
        method="GET",
        service=first.get("service", ""),
        scopes=parse_scopes(value for name, value in parameters if name == "scope"),
        client_id=first.get("client_id", ""),
        account=first.get("account", ""),
        offline=first.get("offline_token", "").lower() in ("true", "1"),
        username=username,
        password=password,
    )


def parse_post(body: bytes) -> TokenRequest:
    """Parse an OAuth2 form; raises `BadRequest`."""
    try:
        parameters = parse_query(body.decode("ascii").strip()).parameters()
    except UnicodeDecodeError:
        raise BadRequest("the body is no form") from None
    first = _first_values(parameters)
    grant_type = first.get("grant_type", "")
    request = TokenRequest(
        method="POST",
        service=first.get("service", ""),
        scopes=parse_scopes(value for name, value in parameters if name == "scope"),
        client_id=first.get("client_id", ""),
        offline=first.get("access_type", "") == "offline",
        username=first.get("username", "") if grant_type == "password" else "",
        password=first.get("password", "") if grant_type == "password" else "",
        refresh_token=first.get("refresh_token", "")
        if grant_type == "refresh_token"
        else "",
    )
    if grant_type not in ("password", "refresh_token"):
        raise BadRequest("grant_type is neither password nor refresh_token")
    if not (request.username or request.refresh_token):
        raise BadRequest(f"grant_type={grant_type} without its credentials")
    return request


def _first_values(parameters: list[tuple[str, str]]) -> dict[str, str]:
    """Return the first value of each parameter; raises `BadRequest` for a long one."""
    first = dict(reversed(parameters))
    for name in ("service", "account", "client_id"):
        if len(first.get(name, "")) > MAX_LABEL_LENGTH:
            raise BadRequest(f"{name} may have at most {MAX_LABEL_LENGTH} characters")
    return first


def get_query(request: TokenRequest, service: str, scopes: Iterable[Scope]) -> str:
    """Return the query of a GET to a token service."""
    pairs = [("service", service)] if service else []
    pairs += [("scope", str(scope)) for scope in scopes]
    if request.username:
        pairs.append(("account", request.username))
    if request.client_id:
        pairs.append(("client_id", request.client_id))
    if request.offline:
        pairs.append(("offline_token", "true"))
    return urlencode(pairs, errors="surrogateescape")


def post_form(request: TokenRequest, service: str, scopes: Iterable[Scope]) -> str:
    """Return the form of a POST to a token service."""
    pairs = [("service", service), ("client_id", request.client_id or "regbroker")]
    if request.refresh_token:
        pairs += [
            ("grant_type", "refresh_token"),
            ("refresh_token", request.refresh_token),
        ]
    else:
        pairs += [
            ("grant_type", "password"),
            ("username", request.username),
            ("password", request.password),
        ]
    text = format_scopes(scopes)
    if text:
        pairs.append(("scope", text))
    if request.offline:
        pairs.append(("access_type", "offline"))
    return urlencode(pairs, errors="surrogateescape")


def basic_authorization(request: TokenRequest) -> bytes:
    """Return the Authorization header of a request with a password."""
    credentials = f"{request.username}:{request.password}"
    return b"Basic " + base64.b64encode(credentials.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True)
class IssuedToken:
    """
    A token that a token service has given.

    `expires`, and `received`, when it came, are in seconds on the clock that
    `parse_reply` was given. `scope` is None when the reply did not say; else it holds
    upstream names.
    """

    token: str = field(repr=False)
    expires: float
    scope: str | None = None
    refresh_token: str = field(default="", repr=False)
    received: float = 0.0


def parse_reply(body: bytes, now: float) -> IssuedToken:
    """
    Parse a token service's reply; `now` is the time in seconds since 1970.

    A token without a believable life is taken to live `MIN_LIFE_SECONDS`.
    Raises `UpstreamMalformed`.
    """
    document = parse_object(body)
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not re.fullmatch("[!-~]+", token):
        raise UpstreamMalformed("the upstream's token service sent no token")
    life = document.get("expires_in")
    if not isinstance(life, int | float) or not 0 < life < _MAX_LIFE_SECONDS:
        life = MIN_LIFE_SECONDS
    expires = min(_issued(document.get("issued_at"), now), now) + max(
        life, MIN_LIFE_SECONDS
    )
    scope = document.get("scope")
    refresh_token = document.get("refresh_token")
    return IssuedToken(
        token,
        # A token service whose clock is behind would have all its tokens
        # expired on arrival.
        max(expires, now + MIN_LIFE_SECONDS),
        scope if isinstance(scope, str) else None,
        refresh_token if isinstance(refresh_token, str) else "",
        now,
    )


def _issued(text: Any, now: float) -> float:
    if isinstance(text, str):
        # Fractions of nanoseconds, which Go writes, are beyond fromisoformat.
        head, dot, tail = text.strip().partition(".")
        zone = tail.lstrip("0123456789") if dot else ""
        try:
            issued = datetime.fromisoformat((head + zone).replace("Z", "+00:00"))
        except ValueError:
            return now
        return (issued.replace(tzinfo=issued.tzinfo or timezone.utc)).timestamp()
    return now


def format_reply(
    grant: IssuedToken, scope: str | None, method: str, now: float
) -> bytes:
    """
    Return the reply for a client; `scope` holds public names.

    ``issued_at`` and ``expires_in`` are set so that a client that adds them
    finds the true end, and one that counts from now does not get beyond it.
    """
    seconds = max(int(grant.expires - now), MIN_LIFE_SECONDS)
    issued = datetime.fromtimestamp(int(now), timezone.utc)
    document: dict[str, Any] = {
        "token": grant.token,
        "access_token": grant.token,
        "expires_in": seconds,
        "issued_at": issued.isoformat().replace("+00:00", "Z"),
    }
    if scope is not None:
        document["scope"] = scope
    if grant.refresh_token:
        document["refresh_token"] = grant.refresh_token
    body = json.dumps(document).encode() + b"\n"
    if len(body) > MAX_REPLY_BYTES:
        # The token stands twice for clients that read only one of the names.
        del document["token" if method == "POST" else "access_token"]
        body = json.dumps(document).encode() + b"\n"
    if len(body) > MAX_REPLY_BYTES:
        raise UpstreamMalformed(
            f"the upstream's token does not fit into {MAX_REPLY_BYTES} bytes"
        )
    return body
