"""
Token requests and token replies, as clients and token services write them.

Source: distribution's ``docs/content/spec/auth/token.md`` (GET) and
``oauth.md`` (POST); RFC 8693 (the exchange of a token, by POST).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from regbroker.errors import BadRequest, ExchangeRefused, UpstreamMalformed
from regbroker.protocol.bodies import parse_object
from regbroker.protocol.queries import Query, parse_query
from regbroker.protocol.scopes import Scope, parse_scopes

#: crane reads no more of a reply.
MAX_REPLY_BYTES = 64 * 1024

#: What a token lives when its reply does not say, and what clients take for
#: the least that any token lives.
MIN_LIFE_SECONDS = 60

#: Clients come with the same queries again and again; longer ones are parsed each time.
MAX_REMEMBERED = 1024
MAX_REMEMBERED_QUERY = 512

#: Of what a client calls itself, and of what a token is for, in characters.
MAX_LABEL_LENGTH = 256

#: RFC 8693, 2.1 and 3.
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
_TOKEN_TYPES = (
    "urn:ietf:params:oauth:token-type:jwt",
    "urn:ietf:params:oauth:token-type:id_token",
    ACCESS_TOKEN_TYPE,
)

_encode = json.JSONEncoder().encode

_MAX_LIFE_SECONDS = 10 * 365 * 86400


@dataclass(frozen=True)
class TokenRequest:
    """
    What a client asks the token service for.

    Without `username`, `refresh_token` and `subject_token` the client is anonymous.
    `offline` asks for a refresh token. `audience` are those that an exchange names.
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
    subject_token: str = field(default="", repr=False)
    audience: tuple[str, ...] = ()

    @property
    def is_anonymous(self) -> bool:
        """Whether the client brought no credentials."""
        return not (self.username or self.refresh_token or self.subject_token)

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
    basic = parse_basic(authorization) if authorization else None
    if authorization and basic is None:
        raise BadRequest("the token service takes Basic credentials, or none")
    query = parse_query(query)
    is_long = len(str(query)) > MAX_REMEMBERED_QUERY
    asked = _parse_query(query) if is_long else _remembered(query)
    if basic is None:
        return asked
    # `replace` takes three times as long.
    return TokenRequest(
        asked.method,
        asked.service,
        asked.scopes,
        asked.client_id,
        asked.account,
        asked.offline,
        *basic,
    )


def _parse_query(query: Query) -> TokenRequest:
    """Return what a query asks for, without credentials: these are in no query."""
    parameters = query.parameters()
    first = _first_values(parameters)
    return TokenRequest(
        method="GET",
        service=first.get("service", ""),
        scopes=parse_scopes(value for name, value in parameters if name == "scope"),
        client_id=first.get("client_id", ""),
        account=first.get("account", ""),
        offline=first.get("offline_token", "").lower() in ("true", "1"),
    )


_remembered = lru_cache(maxsize=MAX_REMEMBERED)(_parse_query)


def parse_post(body: bytes, exchanges: bool = False) -> TokenRequest:
    """
    Parse an OAuth2 form; `exchanges` tells whether tokens are exchanged here.

    Raises `BadRequest` or `ExchangeRefused`.
    """
    try:
        parameters = parse_query(body.decode("ascii").strip()).parameters()
    except UnicodeDecodeError:
        raise BadRequest("the body is no form") from None
    first = _first_values(parameters)
    grant_type = first.get("grant_type", "")
    if grant_type == EXCHANGE:
        if not exchanges:
            raise ExchangeRefused(
                "unsupported_grant_type", "no tokens are exchanged here"
            )
        return _parse_exchange(parameters, first)
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


def _parse_exchange(
    parameters: list[tuple[str, str]], first: dict[str, str]
) -> TokenRequest:
    """Parse the form of RFC 8693, 2.1; raises `ExchangeRefused`."""
    names = [name for name, _ in parameters]
    for name in ("subject_token", "subject_token_type"):
        if names.count(name) != 1 or not first[name]:
            raise ExchangeRefused("invalid_request", f"{name} must be there, once")
    if "actor_token" in names:
        raise ExchangeRefused("invalid_request", "an actor_token is not taken")
    if first["subject_token_type"] not in _TOKEN_TYPES:
        raise ExchangeRefused(
            "invalid_request", f"subject_token_type is not {' or '.join(_TOKEN_TYPES)}"
        )
    if first.get("requested_token_type", ACCESS_TOKEN_TYPE) != ACCESS_TOKEN_TYPE:
        raise ExchangeRefused(
            "invalid_request", f"requested_token_type is not {ACCESS_TOKEN_TYPE}"
        )
    return TokenRequest(
        method="POST",
        service=first.get("service", ""),
        scopes=parse_scopes(value for name, value in parameters if name == "scope"),
        client_id=first.get("client_id", ""),
        subject_token=first["subject_token"],
        audience=tuple(v for n, v in parameters if n in ("audience", "resource")),
    )


def _first_values(parameters: list[tuple[str, str]]) -> dict[str, str]:
    """Return the first value of each parameter; raises `BadRequest` for a long one."""
    first = dict(reversed(parameters))
    for name in ("service", "account", "client_id"):
        if len(first.get(name, "")) > MAX_LABEL_LENGTH:
            raise BadRequest(f"{name} may have at most {MAX_LABEL_LENGTH} characters")
    return first


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


@lru_cache(maxsize=1)
def _iso_time(seconds: int) -> str:
    issued = datetime.fromtimestamp(seconds, timezone.utc)
    return issued.isoformat().replace("+00:00", "Z")


def format_reply(
    grant: IssuedToken,
    scope: str | None,
    method: str,
    now: float,
    is_exchange: bool = False,
) -> bytes:
    """
    Return the reply for a client; `scope` holds public names.

    That of an exchange has what RFC 8693, 2.2.1, wants beside it.

    ``issued_at`` and ``expires_in`` are set so that a client that adds them
    finds the true end, and one that counts from now does not get beyond it.
    """
    # Clients of the registry's own protocol take less for an error.
    least = 1 if is_exchange else MIN_LIFE_SECONDS
    seconds = max(int(grant.expires - now), least)
    document: dict[str, Any] = {
        "token": grant.token,
        "access_token": grant.token,
        "expires_in": seconds,
        "issued_at": _iso_time(int(now)),
    }
    if is_exchange:
        document["issued_token_type"] = ACCESS_TOKEN_TYPE
        document["token_type"] = "Bearer"
    if scope is not None:
        document["scope"] = scope
    if grant.refresh_token:
        document["refresh_token"] = grant.refresh_token
    body = _encode(document).encode() + b"\n"
    if len(body) > MAX_REPLY_BYTES:
        # The token stands twice for clients that read only one of the names.
        del document["token" if method == "POST" else "access_token"]
        body = _encode(document).encode() + b"\n"
    if len(body) > MAX_REPLY_BYTES:
        raise UpstreamMalformed(
            f"the upstream's token does not fit into {MAX_REPLY_BYTES} bytes"
        )
    return body
