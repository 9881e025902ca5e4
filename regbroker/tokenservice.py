"""
An upstream's token service, asked over HTTP.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from regbroker.causes import Side
from regbroker.documents import Document, Documents
from regbroker.grants import (
    MAX_REPLY_BYTES,
    TokenRequest,
    basic_authorization,
    get_query,
    post_form,
)
from regbroker.realms import Realm
from regbroker.scopes import Scope
from regbroker.tls import Trust

#: What a token service has answered; its body is at most `MAX_REPLY_BYTES`.
TokenReply = Document


class TokenService:
    """
    Asks token services, over connections that are kept.

    `clock` is the reactor; `connect_timeout` is in seconds.
    """

    def __init__(self, trust: Trust, connect_timeout: float, clock: Any) -> None:
        self._documents = Documents(
            Side.TOKENS.value,
            MAX_REPLY_BYTES,
            trust,
            connect_timeout,
            clock,
        )

    def close(self) -> Deferred[Any]:
        """Close the kept connections; fires when they are closed."""
        return self._documents.close()

    async def get(
        self,
        realm: Realm,
        request: TokenRequest,
        service: str,
        scopes: tuple[Scope, ...],
    ) -> TokenReply:
        """Ask with GET and Basic; raises `UpstreamError`."""
        query = get_query(request, service, scopes)
        separator = "&" if "?" in realm.target else "?"
        headers = {}
        if request.username:
            headers[b"Authorization"] = [basic_authorization(request)]
        url = f"{realm}{separator}{query}" if query else str(realm)
        return await self._documents.ask("GET", url, headers)

    async def post(
        self,
        realm: Realm,
        request: TokenRequest,
        service: str,
        scopes: tuple[Scope, ...],
    ) -> TokenReply:
        """Ask with an OAuth2 form; raises `UpstreamError`."""
        form = post_form(request, service, scopes).encode("ascii")
        headers = {b"Content-Type": [b"application/x-www-form-urlencoded"]}
        return await self._documents.ask("POST", str(realm), headers, form)
