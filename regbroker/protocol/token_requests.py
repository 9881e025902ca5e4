"""
Token requests, as clients write them.

Source: distribution's ``docs/content/spec/auth/token.md`` (GET) and
``oauth.md`` (POST); RFC 8693 (the exchange of a token, by POST).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from regbroker.errors import BadRequest, ExchangeRefused
from regbroker.protocol.basic_credentials import parse_basic
from regbroker.protocol.queries import Query, parse_query
from regbroker.protocol.scopes import Scope, parse_scopes

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

#: What an exchange may say more than once; clients of registries write each scope so.
_LISTS = ("scope", "audience", "resource")


class TokenRequest(NamedTuple):
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
    password: str = ""
    refresh_token: str = ""
    subject_token: str = ""
    audience: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # The rest may be secret.
        return f"<TokenRequest {self.method} {self.user} {self.service} {self.scopes}>"

    @property
    def is_anonymous(self) -> bool:
        """Whether the client brought no credentials."""
        return not (self.username or self.refresh_token or self.subject_token)

    @property
    def user(self) -> str:
        """The user for the log; ``-`` for a refresh token, which names nobody."""
        return self.username or ("-" if self.refresh_token else "")


def parse_get(query: str | Query, authorization: str | None) -> TokenRequest:
    """Parse ``GET ?service=…&scope=…``; raises `BadRequest`."""
    basic = parse_basic(authorization) if authorization else None
    if authorization and basic is None:
        raise BadRequest("the token service takes Basic credentials, or none")
    text = parse_query(query).text
    is_long = len(text) > MAX_REMEMBERED_QUERY
    asked = _parse_query(text) if is_long else _remembered(text)
    if basic is None:
        return asked
    # `_replace` takes three times as long.
    return TokenRequest(
        asked.method,
        asked.service,
        asked.scopes,
        asked.client_id,
        asked.account,
        asked.offline,
        *basic,
    )


def _parse_query(text: str) -> TokenRequest:
    """Return what a query asks for, without credentials: these are in no query."""
    parameters = Query(text).parameters()
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
    single = [name for name in names if name not in _LISTS]
    if len(single) > len(set(single)):
        # RFC 6749, 3.2: who reads only the last one would understand something else.
        raise ExchangeRefused("invalid_request", "a parameter stands there twice")
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
