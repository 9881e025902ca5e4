"""The site: which registry a request is for."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import NOT_DONE_YET, Request

from regbroker.errors import (
    BadRequest,
    EndpointUnknown,
    HostUnknown,
    HTTPError,
    LoopDetected,
)
from regbroker.events import Event, new_request_id
from regbroker.protocol.headers import Forwarded, Network, came_from_here
from regbroker.protocol.mirrors import PARAMETER, mirrored_registry, path_with_ns
from regbroker.protocol.origins import parse_origin
from regbroker.transport.server.client_connection import (
    ClientConnection,
    client_connection,
)
from regbroker.transport.server.replies import set_request_id, set_status
from regbroker.transport.server.streaming_request import received_headers
from regbroker.transport.server.whole_site import WholeSite
from regbroker.web.arrivals import CLAIMED_ID, Arrivals
from regbroker.web.client_request import ClientRequest, parse_request
from regbroker.web.health import Health
from regbroker.web.https_redirect import https_url
from regbroker.web.registry import Registry
from regbroker.web.serving import UnderWay, serve

#: A fragment stays with the client; behind one a server may see another query.
_NOT_IN_A_TARGET = bytes([*range(0x21), ord("#"), *range(0x7F, 0x100)])
_MARKED = bytes.maketrans(_NOT_IN_A_TARGET, b"?" * len(_NOT_IN_A_TARGET))


class _Arrival(NamedTuple):
    """
    How a request came, and what follows from that.

    `name` is its host as sections are called, None for what is no host, and `registry`
    the one that serves it.
    """

    forwarded: Forwarded
    name: str | None
    registry: Registry | None


class VirtualHosts(WholeSite):
    """
    The root of the site: the ``Host`` header picks the registry.

    `clock` is the reactor. A registry for ``*`` serves all other hosts, or those
    that it names. A source that a request names counts before its Host: `sources`
    leads to the `host` of the registry that is its mirror. `health` answers before all
    of them. What is answered here is in `under_way`, too.
    """

    def __init__(
        self,
        registries: Iterable[Registry],
        trusted_proxies: tuple[Network, ...],
        denied_user_agents: re.Pattern[str] | None,
        clock: IReactorTime,
        sources: Mapping[str, str],
        health: Health | None = None,
        under_way: UnderWay | None = None,
    ) -> None:
        super().__init__()
        self._health = health
        #: What is being answered; to be stopped with the service.
        self.under_way = UnderWay(under_way)
        self._registries: Mapping[str, Registry] = {
            registry.host: registry for registry in registries
        }
        self._mirrors = {
            source: self._registries[host] for source, host in sources.items()
        }
        self._token_paths = {
            path_with_ns(registry.token_path, source): source
            for source, registry in self._mirrors.items()
        }
        self._arrivals = Arrivals(trusted_proxies, self._arrival)
        self._denied = denied_user_agents
        self._now = clock.seconds

    def answer(self, request: Any) -> None:
        """Serve any method; errors, too, are JSON."""
        self._serve(request, self._answer)

    def redirect(self, request: Any, port: int) -> int:
        """Send a client on to https, with 308; `port` is that of a TLS listener."""

        async def answer(
            http: Request, connection: ClientConnection, event: Event
        ) -> None:
            registry, wanted = self._found(http, connection, event)
            url = https_url(wanted, registry.public_url, port)
            set_status(http, 308)
            http.setHeader(b"Location", url.encode("ascii"))
            http.setHeader(b"Content-Length", b"0")
            http.finish()

        self._serve(request, answer)
        return NOT_DONE_YET

    def _serve(
        self,
        request: Any,
        answer: Callable[[Request, ClientConnection, Event], Coroutine[Any, Any, None]],
    ) -> None:
        if self._health is not None and self._health.answer(request):
            return
        connection = client_connection(request)
        request_id = new_request_id()
        set_request_id(request, request_id)
        event = Event(
            self._now,
            connection.peer,
            request.method.decode("latin-1"),
            request.path.decode("latin-1"),
            connection.tls,
            request_id,
        )
        answering = answer(request, connection, event)
        serve(request, event, answering, self.under_way)

    async def _answer(
        self, http: Request, connection: ClientConnection, event: Event
    ) -> None:
        """Parse a request, find the registry and the endpoint, and have it answered."""
        registry, request = self._found(http, connection, event)
        received = registry.receive(request)
        if received is not None:
            endpoint, request = received
            await endpoint.serve(request, event)

    def _found(
        self, http: Request, connection: ClientConnection, event: Event
    ) -> tuple[Registry, ClientRequest]:
        """Parse a request, and return it with the registry that it is for."""
        headers = received_headers(http)
        by_name = headers.by_name
        if b"via" in by_name and came_from_here(headers.all(b"via")):
            raise LoopDetected("an upstream or a redirect of it leads back to here")
        # A regular expression takes three times as long for a target with a query.
        if http.uri.translate(_MARKED) != http.uri:
            raise BadRequest("the target has a '#', or characters that no URL has")
        forwarded, name, registry = self._arrivals.conclusion(connection, headers)
        if CLAIMED_ID in by_name:
            given_id = self._arrivals.request_id(connection, headers)
            if given_id is not None:
                event.request_id = given_id
                set_request_id(http, given_id)
        event.client = forwarded.address
        request = parse_request(http, headers, forwarded, event)
        try:
            user_agent = by_name.get(b"user-agent", b"").decode("latin-1")
            if self._denied is not None and self._denied.match(user_agent):
                raise EndpointUnknown(
                    "this registry does not serve clients as old as this one; "
                    "docker 1.6 is the first that it does"
                )
            if name is None:
                raise BadRequest("the Host header names no host")
            if self._mirrors or (request.query.text and request.is_for_api):
                registry, request = self._picked_by_source(request, name, registry)
            if registry is None:
                raise HostUnknown(_unknown_host(request))
        except HTTPError:
            # The log says what was asked for.
            event.registry = _asked_registry(request)
            raise
        event.section = host = registry.host
        event.registry = host if host != "*" else forwarded.host
        return registry, request

    def _arrival(self, forwarded: Forwarded) -> _Arrival:
        """Return what follows from how a request came."""
        name = _host_name(forwarded.host)
        if name is None:
            return _Arrival(forwarded, None, None)
        registry = self._registries.get(name) or self._registries.get("*")
        is_served = registry is not None and registry.is_for(name)
        return _Arrival(forwarded, name, registry if is_served else None)

    def _picked_by_source(
        self, request: ClientRequest, name: str, of_host: Registry | None
    ) -> tuple[Registry | None, ClientRequest]:
        """
        Return the registry that is the mirror of what a request names, or its host's.

        The query that is returned has no parameter ``ns``: what it says is in the
        source, and the upstream is no mirror.
        """
        forwarded, query = request.forwarded, request.query
        source = self._token_paths.get(request.path.rstrip("/"))
        if query and request.is_for_api:
            own = [forwarded.host, of_host.host] if of_host is not None else []
            source = mirrored_registry(query, self._mirrors, own)
            if source is not None:
                request.http.setHeader(b"OCI-Namespace", source.encode())
            query = query.without(PARAMETER)
        if source in self._mirrors:
            mirror = self._mirrors[source]
            of_host = mirror if mirror.is_for(name) else None
            forwarded = replace(forwarded, source=source)
        if forwarded is not request.forwarded or query is not request.query:
            request = replace(request, forwarded=forwarded, query=query)
        return of_host, request


def _host_name(host: str) -> str | None:
    """
    Return a host as sections are called: lower case, without its port.

    None is for what is no host. A last dot says that the name is whole (RFC 3986,
    3.2.2), and is left out.
    """
    origin = parse_origin("https", host)
    if origin is None:
        return None
    name = origin.host.removesuffix(".")
    return f"[{name}]" if ":" in name else name


def _unknown_host(request: ClientRequest) -> str:
    """Say that a host is not served here, and who has named it."""
    message = "no registry of that name is served here"
    own = (request.headers.by_name.get(b"host") or b"").decode("latin-1").strip()
    if request.forwarded.host != own:
        message += "; the name is what a trusted proxy says in X-Forwarded-Host"
    return message


def _asked_registry(request: ClientRequest) -> str:
    """Return what a request says that it is for: its sources, else its Host."""
    sources = request.query.values(PARAMETER) if request.is_for_api else []
    return ",".join(sources) or request.forwarded.host
