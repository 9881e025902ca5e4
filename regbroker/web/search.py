"""``/v1/search`` and ``/v1/_ping``: what the search commands of clients ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from regbroker.broker.principal import WrongToken
from regbroker.causes import Cause
from regbroker.errors import (
    Denied,
    MethodNotAllowed,
    Unauthorized,
    UpstreamMalformed,
)
from regbroker.events import Event
from regbroker.protocol.challenges import basic_challenge, unauthorized
from regbroker.protocol.headers import Forwarded
from regbroker.transport.server.replies import send_bytes
from regbroker.upstream.documents import Document
from regbroker.upstream.search_rules import SearchRules, Visible, ping, refused
from regbroker.upstream.search_service import SearchService
from regbroker.web.client_request import ClientRequest

if TYPE_CHECKING:
    # Imported where it is built: not every configuration needs it.
    from regbroker.broker.local_broker import LocalBroker

_PING = "/v1/_ping"

#: What there is of v1.
PATHS = ("/v1/search", _PING)

_METHODS = "GET, HEAD"
_STANDALONE = b"X-Docker-Registry-Standalone"

Permission = Callable[[ClientRequest, Event], Awaitable[Visible]]
"""Says what a client may see; raises `Unauthorized` or `Denied` if it is nothing."""


async def seen_by_everybody(request: ClientRequest, event: Event) -> Visible:
    """Let everybody see all results: the search service shows them to everybody."""
    return lambda name: True


class SeenByAccounts:
    """With accounts of our own, a user who may list sees what it has a right to."""

    def __init__(self, broker: LocalBroker) -> None:
        self._broker = broker

    async def __call__(self, request: ClientRequest, event: Event) -> Visible:
        """Return what a client sees, by the credentials that it brings."""
        forwarded = request.forwarded
        try:
            principal = await self._broker.identify(
                request.authorization, forwarded.host, forwarded.address, event
            )
        except WrongToken:
            principal = None
        if principal is None:
            raise _unauthorized(forwarded)
        event.user = principal.user
        if not principal.may_list:
            if not principal.user:
                raise _unauthorized(forwarded)
            raise Denied(f"{principal.user} may not list the repositories")
        return await self._broker.visible(principal)


def _unauthorized(forwarded: Forwarded) -> Unauthorized:
    # Search is older than tokens: docker sends a password or nothing.
    return unauthorized([basic_challenge(forwarded.host)])


class Search:
    """
    Answers the searches of one registry.

    `upstream` is the name of the upstream that is searched, for the log.
    """

    def __init__(
        self,
        upstream: str,
        rules: SearchRules,
        service: SearchService,
        permission: Permission,
    ) -> None:
        self._upstream = upstream
        self._rules = rules
        self._service = service
        self._permission = permission

    async def serve(self, request: ClientRequest, event: Event) -> None:
        """Answer a request for one of `PATHS`; raises `HTTPError`."""
        event.endpoint = "search"
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(
                f"the search takes {_METHODS}",
                headers=[(b"Allow", _METHODS.encode())],
            )
        if request.path == _PING:
            await self._ping(request, event)
        else:
            await self._search(request, event)

    async def _ping(self, request: ClientRequest, event: Event) -> None:
        """Answer what docker asks before a search, without credentials."""
        document = await self._ask(self._service.ping(), event)
        body = ping(document.body)
        standalone = document.headers.getRawHeaders(_STANDALONE)
        if standalone:
            request.http.setHeader(_STANDALONE, standalone[0])
        send_bytes(request.http, 200, b"application/json", body)

    async def _search(self, request: ClientRequest, event: Event) -> None:
        visible = await self._permission(request, event)
        wanted = self._rules.asked(request.query)
        if wanted.upstream_text is None:
            body = self._rules.nothing(wanted)
        else:
            document = await self._ask(
                self._service.search(wanted.upstream_query), event
            )
            body = self._rules.results(document.body, wanted, visible)
        send_bytes(request.http, 200, b"application/json", body)

    async def _ask(self, asking: Awaitable[Document], event: Event) -> Document:
        """Return what the search service answers, if that is 200."""
        event.upstream = self._upstream
        with event.upstream_time():
            document = await asking
        if document.status >= 400:
            raise refused(document.status, document.header(b"Retry-After"))
        if document.status != 200:
            raise UpstreamMalformed(
                f"the search service answered with status {document.status}",
                cause=Cause.SEARCH_MALFORMED,
            )
        return document
