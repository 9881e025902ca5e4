"""
The site: which registry a request is for, and which of its endpoints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from regbroker.errors import BadRequest, EndpointUnknown, HostUnknown
from regbroker.headers import ClientWay, Network, client_way
from regbroker.observe import Event
from regbroker.origins import Origin, parse_origin
from regbroker.queries import split_target
from regbroker.web.proxy import Proxy
from regbroker.web.search import PATHS as SEARCH_PATHS
from regbroker.web.search import Search
from regbroker.web.serving import serve
from regbroker.web.tokens import TokenEndpoint

_NOT_IN_A_URL = re.compile(rb"[^\x21-\x7e]")


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
    ) -> None:
        self.host = host
        self._public_url = public_url
        self._token_path = token_path
        self._proxy = proxy
        self._tokens = tokens
        self._search = search

    async def serve(self, request: Request, way: ClientWay, event: Event) -> None:
        """Answer one request; raises what the reply is to be made of."""
        if self._public_url is not None:
            # Whatever the hop in front of us speaks, clients speak this.
            url = self._public_url
            way = replace(way, scheme=url.scheme, host=url.netloc)
        path, _ = split_target(request.uri.decode("latin-1"))
        if path == "/v2" or path.startswith("/v2/"):
            await self._proxy.serve(request, way, event)
        elif path.rstrip("/") == self._token_path:
            await self._tokens.serve(request, way, event)
        elif path in SEARCH_PATHS:
            if self._search is None:
                raise EndpointUnknown("this registry has no search")
            await self._search.serve(request, way, event)
        else:
            raise EndpointUnknown(
                "there is nothing here; the registry is at /v2/",
            )


class VirtualHosts(Resource):
    """
    The root of the site: the ``Host`` header picks the registry.

    `clock` is the reactor. A registry for ``*`` serves all other hosts.
    """

    isLeaf = True

    def __init__(
        self,
        registries: Iterable[Registry],
        trusted_proxies: tuple[Network, ...],
        denied_user_agents: re.Pattern[str] | None,
        clock: Any,
    ) -> None:
        super().__init__()
        self._registries: Mapping[str, Registry] = {
            registry.host: registry for registry in registries
        }
        self._trusted = trusted_proxies
        self._denied = denied_user_agents
        self._clock = clock

    def render(self, request: Any) -> int:
        """Serve any method; errors, too, are JSON."""
        path, _ = split_target(request.uri.decode("latin-1"))
        peer = getattr(request.getClientAddress(), "host", "-")
        event = Event(
            self._clock.seconds,
            client=peer,
            method=request.method.decode("latin-1"),
            path=path,
        )

        async def handle() -> None:
            if _NOT_IN_A_URL.search(request.uri):
                raise BadRequest("the request target has characters that no URL has")
            way = self._way(request, peer)
            event.client = way.address
            self._check_user_agent(request)
            registry = self._registry(way.host)
            event.registry = registry.host if registry.host != "*" else way.host
            await registry.serve(request, way, event)

        serve(request, event, handle)
        return NOT_DONE_YET

    def _way(self, request: Request, peer: str) -> ClientWay:
        hosts = request.requestHeaders.getRawHeaders(b"Host", [])
        if len(hosts) != 1:
            raise BadRequest("a request has one Host header")
        claims = {
            name: ", ".join(value.decode("latin-1") for value in values)
            for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
            if (values := request.requestHeaders.getRawHeaders(name.encode()))
        }
        return client_way(
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

    def _registry(self, host: str) -> Registry:
        origin = parse_origin("https", host)
        if origin is None:
            raise BadRequest("the Host header names no host")
        name = f"[{origin.host}]" if ":" in origin.host else origin.host
        found = self._registries.get(name) or self._registries.get("*")
        if found is None:
            raise HostUnknown("no registry of that name is served here")
        return found
