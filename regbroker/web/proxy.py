"""
Requests under ``/v2``: parsed, mapped, let in, and relayed to an upstream.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from regbroker.errors import (
    BadRequest,
    BodyTooLarge,
    ClientError,
    EndpointUnknown,
    Unauthorized,
)
from regbroker.events import Event
from regbroker.naming.mapping import NameMapping
from regbroker.protocol.names import Endpoint, Target, parse_path
from regbroker.protocol.query_table import FROM, upstream_query
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.transport.server.body_reading import read_body
from regbroker.transport.server.replies import send_json
from regbroker.transport.server.request_bodies import request_body
from regbroker.web.admission import Gate
from regbroker.web.api_request import ApiRequest
from regbroker.web.client_request import ClientRequest
from regbroker.web.mapped_target import (
    MappedTarget,
    Operation,
    mapped_target,
    operation_of,
)
from regbroker.web.serving import refuse

#: Clients come with the same targets again and again. One with a longer path is not
#: remembered, and neither is one of an upload: it is one client's alone.
MAX_REMEMBERED = 1024
MAX_REMEMBERED_PATH = 512


class Answering(Protocol):
    """
    Answers requests that were let in.

    A `regbroker.web.relay.Relay`, or `regbroker.sandbox.repositories.Repositories`.
    """

    async def serve(self, asked: ApiRequest) -> None:
        """Answer one request; raises `HTTPError` for an error reply."""


class Listing(Answering, Protocol):
    """Answers requests for the catalog."""

    def check(self) -> None:
        """Raise `HTTPError` where the operator shows no catalog."""


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
        #: Those that may be asked for here, by method and path.
        self._targets: BoundedMemory[tuple[str, str], MappedTarget] = BoundedMemory(
            MAX_REMEMBERED
        )
        #: The same for all that an endpoint of a repository has.
        self._operations: BoundedMemory[tuple[Endpoint, str | None, str], Operation] = (
            BoundedMemory(MAX_REMEMBERED)
        )
        self._gate = gate
        self._relay = relay
        self._catalog = catalog
        self._read_only = read_only

    async def serve(self, request: ClientRequest, event: Event) -> None:
        """Answer one request; raises `HTTPError` for an error reply."""
        # 1. Parse what is asked for, and map its name to the upstreams that have it.
        target = self._targets.get((request.method, request.path))
        if target is None:
            target = self._mapped(request, event)
        else:
            event.endpoint = target.endpoint.log_name
            event.public_name = target.name or ""
        operation = target.operation
        if operation.routes:
            # What is refused before an upstream is asked was for the first one.
            route = operation.routes[0]
            event.upstream, event.upstream_name = route.upstream, route.upstream_name

        # 2. Only then look at the rest of the request.
        if request.method in ("GET", "HEAD") and request_body(request.http) is not None:
            await _refuse_body(request)
        query = request.query
        if query.text:
            query = upstream_query(target.endpoint, request.method, query)
        asked = ApiRequest(request, event, target, query)
        if query.text and target.endpoint is Endpoint.UPLOADS:
            asked = self._mount_mapped(asked)

        # 3. Let the client in, or answer with what it must bring.
        admitted = await self._gate.admit(asked)
        if isinstance(admitted, Unauthorized):
            refuse(request.http, event, admitted)
            return

        # 4. Answer here, or relay the request.
        asked = admitted
        if asked.principal is not None and operation.is_ping:
            send_json(request.http, {})
        elif target.name is None and target.endpoint is Endpoint.CATALOG:
            await self._catalog.serve(asked)
        else:
            await self._relay.serve(asked)

    def _check(self, target: Target, method: str) -> None:
        """Raise `HTTPError` for what nobody can ask for here, whoever it is."""
        if target.endpoint is Endpoint.EXTENSION and (
            target.reference not in self._extensions
        ):
            raise EndpointUnknown("this registry has no such extension")
        target.check_method(method, self._read_only)
        if target.endpoint is Endpoint.CATALOG:
            self._catalog.check()

    def _mapped(self, request: ClientRequest, event: Event) -> MappedTarget:
        """
        Return where a target leads, and remember it.

        Raises `HTTPError` for what nobody can ask for here. The record has what was
        asked for as far as it was understood.
        """
        target = parse_path(request.path, extensions=True)
        event.endpoint = target.endpoint.log_name
        self._check(target, request.method)
        event.public_name = target.name or ""
        key = target.endpoint, target.name, request.method
        operation = self._operations.get(key)
        if operation is None:
            operation = operation_of(target, request.method, self._mapping)
            self._operations.put(key, operation)
        mapped = mapped_target(target, operation)
        is_one_clients = target.endpoint is Endpoint.UPLOAD
        if not is_one_clients and len(target.path) <= MAX_REMEMBERED_PATH:
            self._targets.put((request.method, target.path), mapped)
        return mapped

    def _mount_mapped(self, asked: ApiRequest) -> ApiRequest:
        """Map ``from``; a mount from what is not served becomes an upload."""
        sources = asked.query.values(FROM)
        if not sources:
            return asked
        source = sources[0]
        try:
            # What another upstream holds cannot be mounted in this one.
            (route,) = (
                route
                for route in self._mapping.routes(source)
                if route.upstream == asked.target.operation.routes[0].upstream
            )
        except (ClientError, ValueError):
            return asked.without_mount()
        asked.event.mounted_from = source
        return asked.mounting(route, source)


async def _refuse_body(request: ClientRequest) -> None:
    """
    Raise `BadRequest` if a request has a body.

    Nothing here reads it, and what is behind may take it for a request. Chunks without
    a byte are none: HAProxy and Envoy send them for a request of HTTP/2 that does not
    end with its headers.
    """
    try:
        await read_body(request.http, 0)
    except BodyTooLarge:
        raise BadRequest(f"{request.method} has no body here") from None
