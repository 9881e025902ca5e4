"""
An upstream's token service, asked over HTTP.

It may send a request on, and is followed on its own origin: credentials go along, and
nobody else is to have them. A form is posted again there, whatever the status of the
redirect: what is in it cannot be said in a URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urljoin

from regbroker.causes import Side
from regbroker.errors import RedirectRefused
from regbroker.protocol.basic_credentials import format_basic
from regbroker.protocol.scopes import Scope
from regbroker.protocol.token_queries import (
    get_query,
    post_form,
)
from regbroker.protocol.token_replies import MAX_REPLY_BYTES
from regbroker.protocol.token_requests import TokenRequest
from regbroker.protocol.urls import Url, parse_url
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.client.trust import Trust
from regbroker.upstream.documents import Document, Documents

#: What a token service has answered; its body is at most `MAX_REPLY_BYTES`.
TokenReply = Document

MAX_REDIRECTS = 5

_REDIRECTS = frozenset({301, 302, 307, 308})


class TokenService:
    """
    Asks token services, over connections that are kept.

    `clock` is the reactor; `connect_timeout` is in seconds.
    """

    def __init__(
        self, trust: Trust, connect_timeout: float, clock: INetworkReactor
    ) -> None:
        self._documents = Documents(
            Side.TOKENS.value,
            MAX_REPLY_BYTES,
            trust,
            connect_timeout,
            clock,
        )

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._documents.close()

    async def get(
        self,
        realm: Url,
        request: TokenRequest,
        service: str,
        scopes: tuple[Scope, ...],
    ) -> TokenReply:
        """Ask with GET and Basic; raises `UpstreamError`."""
        query = get_query(request, service, scopes)
        separator = "&" if "?" in realm.target else "?"
        headers = {}
        if request.username:
            headers[b"Authorization"] = [
                format_basic(request.username, request.password)
            ]
        url = f"{realm}{separator}{query}" if query else str(realm)
        return await self._ask("GET", realm, url, headers)

    async def post(
        self,
        realm: Url,
        request: TokenRequest,
        service: str,
        scopes: tuple[Scope, ...],
    ) -> TokenReply:
        """Ask with an OAuth2 form; raises `UpstreamError`."""
        form = post_form(request, service, scopes).encode("ascii")
        headers = {b"Content-Type": [b"application/x-www-form-urlencoded"]}
        return await self._ask("POST", realm, str(realm), headers, form)

    async def _ask(
        self,
        method: str,
        realm: Url,
        url: str,
        headers: Mapping[bytes, list[bytes]],
        form: bytes | None = None,
    ) -> TokenReply:
        """Ask, and follow; raises `RedirectRefused` besides."""
        for _ in range(MAX_REDIRECTS + 1):
            reply = await self._documents.ask(method, url, headers, form)
            location = reply.header(b"Location") or b""
            if reply.status not in _REDIRECTS or not location:
                return reply
            url = _next_url(realm, url, location.decode("latin-1"))
        raise RedirectRefused(
            f"it is the last of more than {MAX_REDIRECTS} in a row; write 'realm = ' "
            "with the URL of the token service"
        )


def _next_url(realm: Url, url: str, location: str) -> str:
    """Return where a redirect leads; raises `RedirectRefused`."""
    next_url = urljoin(url, location.strip()).partition("#")[0]
    next_one = parse_url(next_url)
    if next_one is None:
        raise RedirectRefused(
            "it leads to no http or https URL; write 'realm = ' with that of the token "
            "service"
        )
    if next_one.origin != realm.origin:
        there = f"{next_one.origin}{next_one.path}"
        raise RedirectRefused(
            f"it leads from {realm.origin} to {next_one.origin}; if the token service "
            f"is there, write 'realm = {there}'"
        )
    return next_url
