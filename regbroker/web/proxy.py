"""
The way of a request under ``/v2``: parse, map, admit, relay, map back.
"""

from __future__ import annotations

from twisted.web.server import Request

from regbroker.connections import Reply
from regbroker.errors import BadRequest, ClientError, EndpointUnknown
from regbroker.headers import ClientWay
from regbroker.localbroker import Visitor
from regbroker.mapping import Mapping
from regbroker.names import Endpoint, parse_path
from regbroker.observe import Event
from regbroker.queries import replaced, split_target, values, without
from regbroker.replies import send_json
from regbroker.web.admission import Gate
from regbroker.web.answering import Answering
from regbroker.web.asking import Asking
from regbroker.web.catalog import Refused, read_page
from regbroker.web.exchange import Exchange
from regbroker.web.following import Following


class Proxy:
    """``/v2`` of one registry, relayed to its upstream."""

    def __init__(
        self,
        mapping: Mapping,
        gate: Gate,
        asking: Asking,
        answering: Answering,
        catalog: str,
        following: Following | None = None,
    ) -> None:
        self._mapping = mapping
        self._gate = gate
        self._asking = asking
        self._answering = answering
        self._catalog = catalog
        self._following = following

    async def serve(self, request: Request, way: ClientWay, event: Event) -> None:
        """Answer one request; raises what the reply is to be made of."""
        # 1. What is asked for? Nothing that does not parse goes further.
        path, query = split_target(request.uri.decode("latin-1"))
        target = parse_path(path)
        target.check_method(event.method)
        # A mirror's "ns" is about us, not about the upstream.
        query = without(query, "ns")
        exchange = Exchange(request, way, event, target, query, self._mapping)

        # 2. Where does the name lead?
        self._map_names(exchange)

        # 3. Who asks, and may they? What can be answered here, is.
        visitor = await self._gate.admit(exchange)

        # 4. Ask the upstream, and map back what it says.
        if target.endpoint is Endpoint.BASE and visitor is not None:
            send_json(request, {})
        elif target.endpoint is Endpoint.CATALOG:
            await self._serve_catalog(exchange, visitor)
        else:
            reply = await self._followed(exchange, await self._asking.ask(exchange))
            await self._answering.answer(exchange, reply)

    async def _followed(self, exchange: Exchange, reply: Reply) -> Reply:
        """Return a reply, or what it leads to where redirects are followed."""
        if self._following is None:
            return reply
        return await self._following.follow(exchange, reply)

    def _map_names(self, exchange: Exchange) -> None:
        target, event = exchange.target, exchange.event
        if target.name is None:
            return
        event.public_name = target.name
        route = self._mapping.route(target.name)
        event.upstream = route.upstream
        event.upstream_name = route.upstream_name
        exchange.route = route
        exchange.names[route.upstream_name] = target.name
        if target.endpoint is Endpoint.UPLOADS:
            self._map_mount(exchange)

    def _map_mount(self, exchange: Exchange) -> None:
        """Map ``from``; a mount from what is not served becomes an upload."""
        if ";" in exchange.query:
            # Some upstreams take it for "&": a name could hide behind it.
            raise BadRequest("the query of an upload has no ';'")
        sources = values(exchange.query, "from")
        if not sources or not values(exchange.query, "mount"):
            return
        try:
            (name,) = sources
            route = self._mapping.route(name)
        except (ClientError, ValueError):
            exchange.mounts_nothing()
            return
        exchange.mounted_from = route
        exchange.names[route.upstream_name] = name
        exchange.query = replaced(
            exchange.query, "from", lambda name: route.upstream_name
        )

    async def _serve_catalog(self, exchange: Exchange, visitor: Visitor | None) -> None:
        if self._catalog == "deny":
            raise EndpointUnknown("this registry does not list its repositories")

        async def ask(query: str) -> Reply:
            reply = await self._asking.send(exchange, query)
            return await self._followed(exchange, reply)

        visible = None if visitor is None else await self._gate.visible(visitor)

        def to_public(upstream_name: str) -> str | None:
            name = self._mapping.to_public(upstream_name, exchange.upstream)
            seen = name is not None and (visible is None or visible(name))
            return name if seen else None

        try:
            page = await read_page(
                exchange.query,
                self._mapping.route,
                to_public,
                ask,
                self._answering.gather_list,
            )
        except Refused as refusal:
            await self._answering.answer(exchange, refusal.reply)
            return
        if page.link is not None:
            exchange.request.setHeader(b"Link", page.link.encode())
        send_json(exchange.request, {"repositories": page.names})
