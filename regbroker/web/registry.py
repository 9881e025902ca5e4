"""One registry as clients see it, and which of its endpoints answers a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from regbroker.errors import EndpointUnknown
from regbroker.events import Event
from regbroker.naming.public_hosts import is_served
from regbroker.protocol.mirrors import path_with_ns
from regbroker.protocol.origins import Origin
from regbroker.web.client_request import ClientRequest
from regbroker.web.cross_origin import CrossOrigin
from regbroker.web.proxy import Proxy
from regbroker.web.search import PATHS as SEARCH_PATHS
from regbroker.web.search import Search
from regbroker.web.token_endpoint import TokenEndpoint


class PathServer(Protocol):
    """What answers the requests for some paths of a registry."""

    async def serve(self, request: ClientRequest, event: Event) -> None:
        """Answer one request; raises `HTTPError` for an error reply."""


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
        self.public_url = public_url
        self._cross_origin = cross_origin
        self._proxy = proxy
        self._tokens = tokens
        self._search = search

    def is_for(self, host: str) -> bool:
        """Tell whether a host is one of those that this registry stands for."""
        return is_served(host, self._hosts)

    def receive(
        self, request: ClientRequest
    ) -> tuple[PathServer, ClientRequest] | None:
        """
        Return what answers a request, and the request as clients see it.

        None is for a CORS preflight, which is answered. Raises `Denied` for what a web
        page may not do here, and as `endpoint`.
        """
        url, cross_origin = self.public_url, self._cross_origin
        if url is not None:
            forwarded = replace(request.forwarded, scheme=url.scheme, host=url.netloc)
            request = replace(request, forwarded=forwarded)
        if cross_origin is not None and cross_origin.answer(
            request, self._token_path_for(request)
        ):
            return None
        return self.endpoint(request), request

    def endpoint(self, request: ClientRequest) -> PathServer:
        """Return what answers a request; raises `EndpointUnknown`."""
        if request.is_for_api:
            return self._proxy
        if request.path.rstrip("/") == self._token_path_for(request):
            return self._tokens
        if request.path not in SEARCH_PATHS:
            raise EndpointUnknown("there is nothing here; the registry is at /v2/")
        if self._search is None:
            raise EndpointUnknown("this registry has no search")
        return self._search

    def _token_path_for(self, request: ClientRequest) -> str:
        return path_with_ns(self.token_path, request.forwarded.source)
