"""
Token requests to an upstream; `token_requests` has those of clients.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from regbroker.protocol.scopes import Scope, format_scopes
from regbroker.protocol.token_requests import TokenRequest


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
