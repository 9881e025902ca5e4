"""
The way of a request under ``/v2``: parse, map, relay, map back.

Read `Proxy.serve` from top to bottom; what it calls stands below it in the
same order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.web.iweb import UNKNOWN_LENGTH
from twisted.web.server import Request

from regbroker.bodies import (
    MAX_ERROR_BYTES,
    MAX_LIST_BYTES,
    Wording,
    decode_content,
    error_body,
    tags_list,
)
from regbroker.broker import Broker, public_scopes
from regbroker.challenges import Challenge, format_challenge, parse_challenges
from regbroker.channel import StreamingRequest, request_body
from regbroker.connections import Reply
from regbroker.errors import (
    BadRequest,
    ClientError,
    EndpointUnknown,
    Unauthorized,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
)
from regbroker.grants import parse_basic
from regbroker.headers import (
    ClientWay,
    Header,
    connection_options,
    end_to_end,
    request_headers,
)
from regbroker.mapping import Mapping, Route
from regbroker.names import Endpoint, Target, parse_path
from regbroker.observe import Event
from regbroker.queries import join_target, replaced, split_target, values, without
from regbroker.redirects import link, redirect_location, upload_location
from regbroker.replies import SERVER, send_bytes, send_json, set_status
from regbroker.scopes import format_scopes, parse_scopes
from regbroker.streams import Stall, UploadBody, gather_body, relay_body
from regbroker.upstreams import Upstream
from regbroker.web.catalog import Refused, read_page

_log = Logger()

#: Lists are read and written anew here: they must come whole and unpacked.
_REWRITTEN = (Endpoint.TAGS, Endpoint.CATALOG)

#: About the upstream's own server and way, not about the registry's content.
_NOT_PASSED_ON = frozenset(
    {
        b"alt-svc",
        b"content-location",
        b"date",
        b"docker-distribution-api-version",
        b"link",
        b"location",
        b"server",
        b"www-authenticate",
    }
)


class Exchange:
    """One request on its way through the proxy."""

    def __init__(
        self,
        request: Request,
        way: ClientWay,
        event: Event,
        target: Target,
        query: str,
    ) -> None:
        self.request = request
        self.way = way
        self.event = event
        self.target = target
        self.query = query
        self.method = event.method
        self.route: Route | None = None
        #: Upstream names that this request is about, with the public ones.
        self.names: dict[str, str] = {}
        authorization = request.getHeader(b"Authorization")
        self.authorization = (
            authorization.decode("latin-1") if authorization is not None else None
        )


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
        self._token_path = token_path
        self._catalog = catalog
        self._clock = clock

    async def serve(self, request: Request, way: ClientWay, event: Event) -> None:
        """Answer one request; raises what the reply is to be made of."""
        # 1. What is asked for? Nothing that does not parse goes further.
        path, query = split_target(request.uri.decode("latin-1"))
        target = parse_path(path)
        target.check_method(event.method)
        exchange = Exchange(request, way, event, target, without(query, "ns"))
        event.user = self._user(exchange)

        # 2. What can be answered here, is.
        if target.endpoint is Endpoint.BASE and exchange.authorization is None:
            self._challenge_from_knowledge(exchange)

        # 3. Where does the name lead?
        self._map_names(exchange)

        # 4. Ask the upstream, and map the answer back.
        if target.endpoint is Endpoint.CATALOG:
            await self._answer_catalog(exchange)
        else:
            await self._answer(exchange, await self._ask(exchange))

    # 2. Local answers.

    def _challenge_from_knowledge(self, exchange: Exchange) -> None:
        known = self._upstream.known
        if known is not None and known.challenges:
            raise Unauthorized(
                "authentication is required",
                headers=self._challenges(known.challenges, exchange),
            )

    def _challenges(
        self, challenges: tuple[Challenge, ...], exchange: Exchange
    ) -> list[Header]:
        """Return the challenges as ours: one a line, Bearer first."""
        way = exchange.way
        lines: list[bytes] = []
        for challenge in sorted(challenges, key=lambda c: c.scheme != "bearer"):
            if challenge.scheme == "bearer":
                scopes = parse_scopes([challenge.get("scope") or ""])
                mapped = public_scopes(
                    scopes,
                    lambda name: (
                        exchange.names.get(name) or self._mapping.to_public(name)
                    ),
                )
                line = format_challenge(
                    "Bearer",
                    [
                        ("realm", f"{way.scheme}://{way.host}{self._token_path}"),
                        ("service", challenge.get("service")),
                        ("scope", format_scopes(mapped)),
                        ("error", challenge.get("error")),
                    ],
                )
            elif challenge.scheme == "basic":
                line = format_challenge("Basic", [("realm", way.host)])
            else:
                # Negotiate and its like are about the connection itself.
                continue
            if line not in lines:
                lines.append(line)
        return [(b"WWW-Authenticate", line) for line in lines]

    # 3. Names.

    def _map_names(self, exchange: Exchange) -> None:
        target, event = exchange.target, exchange.event
        event.upstream = self._upstream.name
        if target.name is None:
            return
        event.public_name = target.name
        route = self._mapping.route(target.name)
        exchange.route = route
        # Replies speak of the name as the client has written it.
        exchange.names[route.upstream_name] = target.name
        event.upstream_name = route.upstream_name
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

    # 4. The upstream.

    async def _ask(self, exchange: Exchange) -> Reply:
        reply = await self._send(exchange, exchange.query)
        if (
            reply.status in (401, 403)
            and exchange.authorization is not None
            and values(exchange.query, "mount")
        ):
            # The client may push here, but not pull there: an upload, then.
            upload = without(exchange.query, "mount", "from")
            second = await self._send(exchange, upload)
            if second.status == 202:
                reply.abort()
                return second
            second.abort()
        return reply

    async def _send(self, exchange: Exchange, query: str) -> Reply:
        request, event = exchange.request, exchange.event
        path = exchange.target.path
        if exchange.route is not None:
            path = exchange.target.path_for(exchange.route.upstream_name)
        body = request_body(request)
        expects = isinstance(request, StreamingRequest) and (
            request.body.expects_continue
        )
        before = event.seconds
        asking: Deferred[Reply]
        stalled = False

        def on_stall() -> None:
            nonlocal stalled
            stalled = True
            asking.cancel()

        stall = Stall(self._clock, self._upstream.config.timeout, on_stall)
        upload = body and UploadBody(body, self._clock, stall, expects)
        headers = list(self._upstream_headers(exchange))
        if expects:
            headers.append((b"Expect", b"100-continue"))
        try:
            asking = Deferred.fromCoroutine(
                self._upstream.request(
                    event.method,
                    join_target(path, query),
                    headers,
                    upload,
                    upload.upstream_continues if upload and expects else None,
                )
            )
            return await asking
        except CancelledError:
            if not stalled:
                raise
            raise UpstreamTimeout("the upstream registry did not answer") from None
        finally:
            stall.stop()
            event.upstream_seconds = event.seconds - before

    def _upstream_headers(self, exchange: Exchange) -> Iterator[Header]:
        given = exchange.request.requestHeaders
        options = connection_options(given.getRawHeaders(b"Connection", ()))
        raw = [
            (name, value) for name, found in given.getAllRawHeaders() for value in found
        ]
        for name, value in request_headers(raw, options):
            if exchange.target.endpoint in _REWRITTEN and name.lower() in (
                b"accept-encoding",
                b"range",
                b"if-range",
            ):
                continue
            yield name, value
        if exchange.target.endpoint in _REWRITTEN:
            yield b"Accept-Encoding", b"identity"
        yield from exchange.way.headers()

    # 5. The answer.

    async def _answer(self, exchange: Exchange, reply: Reply) -> None:
        request = exchange.request
        try:
            headers = self._client_headers(exchange, reply)
        except UpstreamError:
            reply.abort()
            raise
        if reply.status >= 400:
            body = await self._error(exchange, reply)
            self._set_headers(request, reply.status, headers, b"application/json")
            send_bytes(request, reply.status, b"application/json", body)
            return
        if exchange.target.endpoint in _REWRITTEN and reply.status == 200:
            if exchange.method == "GET":
                await self._answer_list(exchange, reply, headers)
                return
            headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
        self._set_headers(request, reply.status, headers, None)
        if (
            reply.length is not UNKNOWN_LENGTH
            and exchange.method != "HEAD"
            and reply.status not in (204, 304)
        ):
            request.setHeader(b"Content-Length", b"%d" % reply.length)
        stall = Stall(self._clock, self._upstream.config.timeout, reply.abort)
        try:
            await relay_body(request, reply, stall)
        finally:
            stall.stop()

    async def _answer_list(
        self, exchange: Exchange, reply: Reply, headers: list[Header]
    ) -> None:
        body = await gather_body(reply, MAX_LIST_BYTES)
        encoding = (reply.header(b"Content-Encoding") or b"").decode("latin-1")
        assert exchange.target.name is not None
        mapped = tags_list(
            decode_content(body, encoding, MAX_LIST_BYTES), exchange.target.name
        )
        self._set_headers(exchange.request, 200, headers, b"application/json")
        send_bytes(exchange.request, 200, b"application/json", mapped)

    async def _answer_catalog(self, exchange: Exchange) -> None:
        if self._catalog == "deny":
            raise EndpointUnknown("this registry does not list its repositories")

        def ask(query: str) -> Awaitable[Reply]:
            return self._send(exchange, query)

        try:
            page = await read_page(exchange.query, self._mapping, ask)
        except Refused as refusal:
            await self._answer(exchange, refusal.reply)
            return
        if page.link is not None:
            exchange.request.setHeader(b"Link", page.link.encode())
        send_json(exchange.request, {"repositories": page.names})

    async def _error(self, exchange: Exchange, reply: Reply) -> bytes:
        """Return the upstream's error as an OCI document with public names."""
        wording = self._wording(exchange)
        try:
            body = await gather_body(reply, MAX_ERROR_BYTES)
            encoding = (reply.header(b"Content-Encoding") or b"").decode("latin-1")
            body = decode_content(body, encoding, MAX_ERROR_BYTES)
        except UpstreamMalformed:
            body = b""
        return error_body(reply.status, body, wording)

    def _wording(self, exchange: Exchange) -> Wording:
        own = self._upstream.own_address(exchange.way.host)
        hosts = {own.origin.netloc, own.origin.host} - {exchange.way.host}
        known = {**exchange.names, **dict.fromkeys(hosts, exchange.way.host)}
        return Wording(known, self._mapping.to_public)

    def _client_headers(self, exchange: Exchange, reply: Reply) -> list[Header]:
        raw = [
            (name, value)
            for name, found in reply.headers.getAllRawHeaders()
            for value in found
        ]
        headers = [
            (name, value)
            for name, value in end_to_end(raw, reply.connection_options)
            if name.lower() not in _NOT_PASSED_ON
        ]
        headers += self._mapped_headers(exchange, reply)
        return headers

    def _mapped_headers(self, exchange: Exchange, reply: Reply) -> Iterator[Header]:
        own = self._upstream.own_address(exchange.way.host)

        def to_public(name: str) -> str | None:
            return exchange.names.get(name) or self._mapping.to_public(name)

        if reply.status == 401:
            found = reply.headers.getRawHeaders(b"WWW-Authenticate", ())
            challenges = parse_challenges(value.decode("latin-1") for value in found)
            yield from self._challenges(challenges, exchange)
        location = (reply.header(b"Location") or b"").decode("latin-1")
        if location and reply.status in (202, 204):
            yield (
                b"Location",
                upload_location(location, own, to_public).encode("latin-1"),
            )
        elif location and reply.status == 201:
            # What was made is made, whether its Location can be told or not.
            try:
                ours = upload_location(location, own, to_public)
                yield b"Location", ours.encode("latin-1")
            except UpstreamMalformed:
                _log.warn("left out the Location of a 201 from {u}", u=own.origin)
        elif location and 300 <= reply.status < 400:
            redirect = redirect_location(location, own, to_public)
            yield b"Location", redirect.encode("latin-1")
        for value in reply.headers.getRawHeaders(b"Link", ()):
            mapped = link(value.decode("latin-1"), own, to_public)
            if mapped is not None:
                yield b"Link", mapped.encode("latin-1")

    def _set_headers(
        self,
        request: Request,
        status: int,
        headers: list[Header],
        content_type: bytes | None,
    ) -> None:
        """Set the reply's headers; with `content_type`, for a body made here."""
        rewritten = {b"content-type", b"content-length", b"content-encoding", b"etag"}
        set_status(request, status)
        for name, value in headers:
            if content_type is None or name.lower() not in rewritten:
                request.responseHeaders.addRawHeader(name, value)
        assert request.responseHeaders.getRawHeaders(b"Server") == [SERVER]

    def _user(self, exchange: Exchange) -> str:
        authorization = exchange.authorization
        if authorization is None:
            return ""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self._broker.user_of(token.strip())
        try:
            basic = parse_basic(authorization)
        except BadRequest:
            return ""
        return basic[0] if basic else ""
