"""
Requests under ``/v2``: parsed, mapped, let in, and relayed to an upstream.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from regbroker.errors import BadRequest, ClientError, EndpointUnknown
from regbroker.events import Event
from regbroker.naming.mapping import NameMapping, Route
from regbroker.protocol.names import Endpoint, parse_path
from regbroker.protocol.query_table import FROM, upstream_query
from regbroker.transport.replies import send_json
from regbroker.transport.request_bodies import request_body
from regbroker.web.admission import Gate
from regbroker.web.api_request import ApiRequest
from regbroker.web.client_request import ClientRequest


class Answering(Protocol):
    """Answers requests that were let in: a `regbroker.web.relay.Relay`, or a disk."""

    async def serve(self, asked: ApiRequest) -> None:
        """Answer one request; raises `HTTPError` for an error reply."""


class Listing(Answering, Protocol):
    """Answers requests for the catalog."""

    def check(self) -> None:
        """Raise `Denied` where the operator shows no catalog."""


class Proxy:
    """``/v2`` of one registry: `relay` answers for all but the ping and `catalog`."""

    def __init__(
        self,
        mapping: NameMapping,
        gate: Gate,
        relay: Answering,
        catalog: Listing,
        read_only: bool = False,
        extensions: Collection[str] = (),
    ) -> None:
        self._extensions = extensions
        self._mapping = mapping
        self._gate = gate
        self._relay = relay
        self._catalog = catalog
        self._read_only = read_only

    async def serve(self, request: ClientRequest, event: Event) -> None:
        """Answer one request; raises `HTTPError` for an error reply."""
        # 1. Parse what is asked for. What does not parse goes no further.
        target = parse_path(request.path, extensions=True)
        event.endpoint = target.endpoint.name.lower()
        if target.endpoint is Endpoint.EXTENSION and (
            target.reference not in self._extensions
        ):
            raise EndpointUnknown("this registry has no such extension")
        target.check_method(request.method, self._read_only)
        if target.endpoint is Endpoint.CATALOG:
            self._catalog.check()
        if request.method in ("GET", "HEAD") and request_body(request.http) is not None:
            # Nothing here reads it, and what is behind may take it for a request.
            raise BadRequest(f"{request.method} has no body here")
        query = upstream_query(target.endpoint, request.method, request.query)

        # 2. Map the name to the upstreams that have it.
        routes = self._routes(target.name, event)
        asked = ApiRequest(request, event, target, query, self._mapping, routes)
        sources = query.values(FROM) if target.endpoint is Endpoint.UPLOADS else ()
        if sources:
            asked = self._mount_mapped(asked, sources[0])

        # 3. Let the client in, or answer with what it must bring.
        asked = await self._gate.admit(asked)

        # 4. Answer here, or relay the request.
        if target.endpoint is Endpoint.BASE and asked.principal is not None:
            send_json(request.http, {})
        elif target.endpoint is Endpoint.CATALOG:
            await self._catalog.serve(asked)
        else:
            await self._relay.serve(asked)

    def _routes(self, name: str | None, event: Event) -> tuple[Route, ...]:
        """Return where a name leads; raises `NameUnknown`."""
        if name is None:
            return ()
        event.public_name = name
        routes = self._mapping.routes(name)
        # What is refused before an upstream is asked was for the first one.
        event.upstream = routes[0].upstream
        event.upstream_name = routes[0].upstream_name
        return routes

    def _mount_mapped(self, asked: ApiRequest, source: str) -> ApiRequest:
        """Map ``from``; a mount from what is not served becomes an upload."""
        try:
            # What another upstream holds cannot be mounted in this one.
            (route,) = (
                route
                for route in self._mapping.routes(source)
                if route.upstream == asked.routes[0].upstream
            )
        except (ClientError, ValueError):
            return asked.without_mount()
        asked.event.mounted_from = source
        return asked.mounting(route, source)
