"""
The site: which registry a request is for, and which of its endpoints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from regbroker.errors import BadRequest, EndpointUnknown, HostUnknown, LoopDetected
from regbroker.events import Event
from regbroker.naming.public_hosts import is_served
from regbroker.protocol.fields import problem_with_request
from regbroker.protocol.headers import (
    Forwarded,
    Network,
    came_from_here,
    parse_forwarded,
    raw_headers,
)
from regbroker.protocol.mirrors import PARAMETER, mirrored_registry, path_with_ns
from regbroker.protocol.origins import Origin, parse_origin
from regbroker.protocol.queries import split_target
from regbroker.transport.server import StreamingRequest
from regbroker.web.cross_origin import CrossOrigin
from regbroker.web.health import Health
from regbroker.web.proxy import Proxy
from regbroker.web.search import PATHS as SEARCH_PATHS
from regbroker.web.search import Search
from regbroker.web.serving import UnderWay, serve
from regbroker.web.target import retarget, target_of
from regbroker.web.token_endpoint import TokenEndpoint

#: A fragment stays with the client; behind one a server may see another query.
_NOT_IN_A_TARGET = re.compile(rb"[^\x21\x22\x24-\x7e]")


class Registry:
    """One registry as clients see it: ``/v2``, its token service, its search."""

    def __init__(
        self,
        host: str,
        token_path: str,
        proxy: Proxy,
        tokens: TokenEndpoint,
        public_url: Origin | None = None,
        search: Search | None = None,
        cross_origin: CrossOrigin | None = None,
        hosts: Sequence[str] = (),
    ) -> None:
        self.host = host
        self._hosts = hosts
        self.token_path = token_path
        self._public_url = public_url
        self._cross_origin = cross_origin
        self._proxy = proxy
        self._tokens = tokens
        self._search = search

    def is_for(self, host: str) -> bool:
        """Tell whether a host is one of those that this registry stands for."""
        return is_served(host, self._hosts)

    async def serve(self, request: Request, forwarded: Forwarded, event: Event) -> None:
        """Answer one request; raises what the reply is to be made of."""
        if self._public_url is not None:
            # Whatever the hop in front of us speaks, clients speak this.
            url = self._public_url
            forwarded = replace(forwarded, scheme=url.scheme, host=url.netloc)
        path, _ = target_of(request)
        token_path = path_with_ns(self.token_path, forwarded.source)
        crossing = self._cross_origin
        if crossing is not None:
            own = parse_origin(forwarded.scheme, forwarded.host)
            if crossing.answer(request, path, token_path, own):
                return
        if _is_api(path):
            await self._proxy.serve(request, forwarded, event)
        elif path.rstrip("/") == token_path:
            await self._tokens.serve(request, forwarded, event)
        elif path in SEARCH_PATHS:
            if self._search is None:
                raise EndpointUnknown("this registry has no search")
            event.endpoint = "search"
            await self._search.serve(request, forwarded, event)
        else:
            raise EndpointUnknown(
                "there is nothing here; the registry is at /v2/",
            )


class VirtualHosts(Resource):
    """
    The root of the site: the ``Host`` header picks the registry.

    `clock` is the reactor. A registry for ``*`` serves all other hosts, or those
    that it names. A source that a request names counts before its Host: `sources`
    leads to the `host` of the registry that is its mirror. `health` answers before all
    of them.
    """

    isLeaf = True

    def __init__(
        self,
        registries: Iterable[Registry],
        trusted_proxies: tuple[Network, ...],
        denied_user_agents: re.Pattern[str] | None,
        clock: IReactorTime,
        sources: Mapping[str, str],
        health: Health | None = None,
    ) -> None:
        super().__init__()
        self._health = health
        #: What is being answered; to be stopped with the service.
        self.under_way = UnderWay()
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
        self._trusted = trusted_proxies
        self._denied = denied_user_agents
        self._clock = clock

    def render(self, request: Any) -> int:
        """Serve any method; errors, too, are JSON."""
        if self._health is not None and self._health.answer(request):
            return NOT_DONE_YET
        path, _ = split_target(request.uri.decode("latin-1"))
        peer = getattr(request.getClientAddress(), "host", "-")
        event = Event(
            self._clock.seconds,
            client=peer,
            method=request.method.decode("latin-1"),
            path=path,
        )

        async def handle() -> None:
            _check_fields(request)
            if came_from_here(request.requestHeaders.getRawHeaders(b"Via", ())):
                raise LoopDetected("an upstream or a redirect of it leads back to here")
            if _NOT_IN_A_TARGET.search(request.uri):
                raise BadRequest("the target has a '#', or characters that no URL has")
            forwarded = self._forwarded(request, peer)
            event.client = forwarded.address
            event.credentials = _credentials(request)
            # When that is refused, the log says what was asked for.
            event.registry = _asked(request, forwarded)
            self._check_user_agent(request)
            registry, forwarded = self._picked(request, forwarded)
            event.section = registry.host
            event.registry = registry.host if registry.host != "*" else forwarded.host
            await registry.serve(request, forwarded, event)

        serve(request, event, handle, self.under_way)
        return NOT_DONE_YET

    def _forwarded(self, request: Request, peer: str) -> Forwarded:
        hosts = request.requestHeaders.getRawHeaders(b"Host", [])
        if len(hosts) != 1:
            raise BadRequest("a request has one Host header")
        claims = {
            name: ", ".join(value.decode("latin-1") for value in values)
            for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
            if (values := request.requestHeaders.getRawHeaders(name.encode()))
        }
        return parse_forwarded(
            peer,
            request.isSecure(),
            hosts[0].decode("latin-1").strip(),
            claims,
            self._trusted,
        )

    def _check_user_agent(self, request: Request) -> None:
        given = (request.getHeader(b"User-Agent") or b"").decode("latin-1")
        if self._denied is not None and self._denied.match(given):
            raise EndpointUnknown(
                "this registry does not serve clients as old as this one; "
                "docker 1.6 is the first that it does"
            )

    def _picked(
        self, request: Request, forwarded: Forwarded
    ) -> tuple[Registry, Forwarded]:
        """Return the registry that a request is for, and the way with its source."""
        name = _host_name(forwarded.host)
        of_host = self._registries.get(name) or self._registries.get("*")
        if of_host is not None and not of_host.is_for(name):
            of_host = None
        path, query = target_of(request)
        source = self._token_paths.get(path.rstrip("/"))
        if _is_api(path):
            own = [forwarded.host, of_host.host] if of_host is not None else []
            source = mirrored_registry(query, self._mirrors, own)
            if source is not None:
                request.setHeader(b"OCI-Namespace", source.encode())
            # It is about us: the upstream is no mirror.
            retarget(request, path, query.without(PARAMETER))
        if source in self._mirrors:
            of_host = self._mirrors[source]
            forwarded = replace(forwarded, source=source)
        if of_host is None or not of_host.is_for(name):
            raise HostUnknown("no registry of that name is served here")
        return of_host, forwarded


def _host_name(host: str) -> str:
    """Return a host as sections are called: lower case, without its port."""
    origin = parse_origin("https", host)
    if origin is None:
        raise BadRequest("the Host header names no host")
    return f"[{origin.host}]" if ":" in origin.host else origin.host


def _check_fields(request: Request) -> None:
    """Refuse headers that make no sense, as our own channel has done already."""
    if not isinstance(request, StreamingRequest):
        problem = problem_with_request(raw_headers(request.requestHeaders))
        if problem is not None:
            raise BadRequest(problem)


def _asked(request: Request, forwarded: Forwarded) -> str:
    """Return what a request says that it is for: its sources, else its Host."""
    path, query = target_of(request)
    given = query.values(PARAMETER) if _is_api(path) else []
    return ",".join(given) or forwarded.host


def _credentials(request: Request) -> str:
    """Return what kind of credentials a request's Authorization brings."""
    scheme = (request.getHeader(b"Authorization") or b"").partition(b" ")[0].lower()
    return {b"": "", b"basic": "password", b"bearer": "token"}.get(scheme, "other")


def _is_api(path: str) -> bool:
    return path == "/v2" or path.startswith("/v2/")
