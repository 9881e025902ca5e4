"""
The way of a request under ``/v2``: parse, map, relay, map back.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.web.server import Request

from regbroker.broker import Broker
from regbroker.connections import Reply
from regbroker.errors import ClientError, EndpointUnknown, Unauthorized
from regbroker.headers import ClientWay
from regbroker.mapping import Mapping
from regbroker.names import Endpoint, parse_path
from regbroker.observe import Event
from regbroker.queries import replaced, split_target, values, without
from regbroker.replies import send_json
from regbroker.upstreams import Upstream
from regbroker.web.answering import Answering
from regbroker.web.asking import Asking
from regbroker.web.catalog import Refused, read_page
from regbroker.web.exchange import Exchange


class Proxy:
    """``/v2`` of one registry, relayed to its upstream."""

    def __init__(
        self,
        upstream: Upstream,
        mapping: Mapping,
        broker: Broker,
        token_path: str,
        catalog: str,
        clock: Any,
    ) -> None:
        self._upstream = upstream
        self._mapping = mapping
        self._broker = broker
        self._catalog = catalog
        self._asking = Asking(upstream, clock)
        self._answering = Answering(upstream, token_path, clock)

    async def serve(self, request: Request, way: ClientWay, event: Event) -> None:
        """Answer one request; raises what the reply is to be made of."""
        # 1. What is asked for? Nothing that does not parse goes further.
        path, query = split_target(request.uri.decode("latin-1"))
        target = parse_path(path)
        target.check_method(event.method)
        # A mirror's "ns" is about us, not about the upstream.
        query = without(query, "ns")
        exchange = Exchange(request, way, event, target, query, self._mapping)
        event.user = exchange.basic_user or self._broker.user_of(exchange.bearer_token)

        # 2. What can be answered without the upstream?
        if target.endpoint is Endpoint.BASE and exchange.authorization is None:
            self._challenge(exchange)

        # 3. Where does the name lead?
        self._map_names(exchange)

        # 4. Ask the upstream, and map back what it says.
        if target.endpoint is Endpoint.CATALOG:
            await self._serve_catalog(exchange)
        else:
            await self._answering.answer(exchange, await self._asking.ask(exchange))

    def _challenge(self, exchange: Exchange) -> None:
        known = self._upstream.known
        if known is not None and known.challenges:
            raise Unauthorized(
                "authentication is required",
                headers=self._answering.challenges(known.challenges, exchange),
            )

    def _map_names(self, exchange: Exchange) -> None:
        target, event = exchange.target, exchange.event
        event.upstream = self._upstream.name
        if target.name is None:
            return
        event.public_name = target.name
        route = self._mapping.route(target.name)
        event.upstream_name = route.upstream_name
        exchange.route = route
        exchange.names[route.upstream_name] = target.name
        if target.endpoint is Endpoint.UPLOADS:
            self._map_mount(exchange)

    def _map_mount(self, exchange: Exchange) -> None:
        """Map ``from``; a mount from what is not served becomes an upload."""
        try:
            sources = {
                name: self._mapping.route(name).upstream_name
                for name in values(exchange.query, "from")
            }
        except ClientError:
            exchange.query = without(exchange.query, "mount", "from")
            return
        exchange.names |= {upstream: public for public, upstream in sources.items()}
        exchange.query = replaced(exchange.query, "from", lambda name: sources[name])

    async def _serve_catalog(self, exchange: Exchange) -> None:
        if self._catalog == "deny":
            raise EndpointUnknown("this registry does not list its repositories")

        def ask(query: str) -> Awaitable[Reply]:
            return self._asking.send(exchange, query)

        try:
            page = await read_page(exchange.query, self._mapping, ask)
        except Refused as refusal:
            await self._answering.answer(exchange, refusal.reply)
            return
        if page.link is not None:
            exchange.request.setHeader(b"Link", page.link.encode())
        send_json(exchange.request, {"repositories": page.names})
