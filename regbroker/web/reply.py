"""Replying: an upstream's reply is sent to the client, with public names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from twisted.logger import Logger

from regbroker.errors import UpstreamMalformed, UpstreamRefused
from regbroker.protocol.bodies import (
    MAX_ERROR_BYTES,
    MAX_LIST_BYTES,
    NameRewriter,
    error_body,
    tags_list,
)
from regbroker.protocol.challenges import (
    Challenge,
    basic_challenge,
    bearer_challenge,
    challenge_headers,
)
from regbroker.protocol.header_list import HeaderList
from regbroker.protocol.header_table import Direction, way
from regbroker.protocol.headers import (
    Header,
    crossing,
    limit_headers,
    passing,
)
from regbroker.protocol.locations import link
from regbroker.protocol.names import Endpoint, is_digest
from regbroker.protocol.next_links import leads_back
from regbroker.protocol.scopes import (
    completed_scopes,
    format_scopes,
    offered_scopes,
    public_scopes,
)
from regbroker.transport.bodies.download import relay_body
from regbroker.transport.bodies.upload import gather_plain
from regbroker.transport.client.reply import Reply
from regbroker.transport.server.replies import send_head, send_whole
from regbroker.upstream.registry import Upstream
from regbroker.web.carried_uploads import CarriedUploads
from regbroker.web.exchange import Exchange, UpstreamRequest
from regbroker.web.locations import Locations

#: Which headers of a reply go on as they came, and which are made anew of them.
_OF_REPLIES = way(Direction.REPLY)
_MAPPED = frozenset({b"location", b"link", b"warning"})

_log = Logger()


class Responder:
    """Turns the replies of one upstream into replies to clients."""

    def __init__(
        self,
        upstream: Upstream,
        token_path: str,
        uploads: CarriedUploads | None = None,
    ) -> None:
        self._upstream = upstream
        self._locations = Locations(upstream, uploads)
        self._token_path = token_path
        self._has_told_of_link = False

    async def answer(self, exchange: Exchange) -> None:
        """
        Finish the client's request with an upstream's reply.

        Raises `UpstreamMalformed` for a reply that cannot be passed on,
        `UpstreamRefused` for one that is an error, and `TransferBroken` when
        either side breaks off in the middle.
        """
        asked, reply = exchange.request.asked, exchange.reply
        status = reply.status
        if status >= 400:
            raise await self.refusal(exchange)
        headers = self._headers(exchange)
        http, method = asked.client.http, asked.client.method
        is_rewritten = asked.target.operation.is_rewritten
        if is_rewritten and status == 200 and method == "GET":
            whole: bytes | None = await self._tags(exchange)
            headers = HeaderList(passing(headers, Direction.OUR_BODY))
            headers.append((b"Content-Type", b"application/json"))
            has_length = False
        else:
            whole = reply.take()
            has_length = method == "HEAD" or (
                b"content-length" in reply.headers.by_name
                and b"content-length" not in reply.connection_options
            )
            if status in (204, 304) or (is_rewritten and method == "HEAD"):
                # A HEAD's length is that of the body with the upstream's name.
                headers, has_length = headers.without(b"content-length"), True
        if whole is None:
            send_head(http, status, headers)
            stalls, seconds = self._upstream.stalls, self._upstream.config.timeout
            await relay_body(http, reply, stalls, seconds)
            return
        if not has_length:
            headers.append((b"Content-Length", b"%d" % len(whole)))
        send_whole(http, status, headers, whole)

    async def refusal(
        self, exchange: Exchange, body: bytes | None = None
    ) -> UpstreamRefused:
        """
        Return an upstream's error as the client is to see it.

        `body` is what `gather_error` returned, if it has been read already. Raises
        `UpstreamMalformed` for one that cannot be passed on.
        """
        headers = self._headers(exchange)
        if body is None:
            body = await self.gather_error(exchange.reply)
        body = self._error(exchange, body)
        kept = passing(headers, Direction.OUR_BODY)
        return UpstreamRefused(exchange.reply.status, body, kept)

    def pass_on_limits(self, exchange: Exchange) -> None:
        """Tell the client of an upstream's limits in a reply that is made here."""
        http = exchange.request.asked.client.http
        for name, value in limit_headers(exchange.reply.headers):
            http.responseHeaders.setRawHeaders(name, [value])

    def challenges(
        self, challenges: tuple[Challenge, ...], request: UpstreamRequest
    ) -> list[bytes]:
        """
        Return an upstream's challenges as ours: one a line, Bearer first.

        The realm is ours, the scopes have public names; service and error are
        the upstream's.
        """
        forwarded = request.asked.client.forwarded
        lines: dict[bytes, None] = {}
        for challenge in sorted(challenges, key=lambda c: c.scheme != "bearer"):
            if challenge.scheme == "bearer":
                scopes = public_scopes(
                    offered_scopes(challenge.get("scope") or ""),
                    request.to_public,
                )
                if request.mount is not None:
                    # The client asks for the scopes that stand here, and no others.
                    scopes = completed_scopes(scopes, request.asked.scopes)
                line = bearer_challenge(
                    forwarded.realm(self._token_path),
                    challenge.get("service"),
                    format_scopes(scopes),
                    challenge.get("error"),
                )
            elif challenge.scheme == "basic":
                line = basic_challenge(forwarded.host)
            else:
                # Negotiate and its like are about the connection itself.
                continue
            lines[line] = None
        return list(lines)

    def _headers(self, exchange: Exchange) -> HeaderList:
        reply = exchange.reply
        try:
            if not 200 <= reply.status < 600:
                raise UpstreamMalformed(
                    f"the upstream registry answered with status {reply.status}"
                )
            headers = HeaderList(
                crossing(reply.headers, reply.connection_options, _OF_REPLIES)
            )
            names = reply.headers.by_name.keys()
            if reply.status in (401, 403) or not _MAPPED.isdisjoint(names):
                headers += self._mapped(exchange)
            if not reply.headers.by_name.get(b"docker-content-digest"):
                headers += self._digest(exchange)
            return headers
        except BaseException:
            reply.abort()
            raise

    def _mapped(self, exchange: Exchange) -> Iterator[Header]:
        """Yield the headers of `_MAPPED`, and challenges, as clients see them."""
        reply = exchange.reply
        names = reply.headers.by_name.keys()
        if reply.status in (401, 403):
            yield from self._challenged(exchange)
        if b"location" in names:
            location = self._locations.location(exchange)
            if location is not None:
                yield b"Location", location.encode("latin-1")
        if b"warning" in names:
            rewriter = self._rewriter(exchange.request)
            for value in reply.headers.all(b"warning"):
                text = rewriter.text(value.decode("latin-1"))
                yield b"Warning", text.encode("latin-1", "replace")
        if b"link" in names:
            yield from self._links(exchange, reply.headers.all(b"link"))

    def _digest(self, exchange: Exchange) -> Iterator[Header]:
        """Yield the digest that was asked for, where that is what came."""
        asked = exchange.request.asked
        digest = asked.target.reference or ""
        if (
            exchange.reply.status in (200, 206)
            and asked.target.endpoint in (Endpoint.MANIFEST, Endpoint.BLOB)
            and asked.client.method in ("GET", "HEAD")
            and is_digest(digest)
        ):
            # Some registries leave it out, and the specification wants it.
            yield b"Docker-Content-Digest", digest.encode()

    def _links(self, exchange: Exchange, links: list[bytes]) -> Iterator[Header]:
        """Yield Links as ours; those that lead on, and not elsewhere."""
        forwarded = exchange.request.asked.client.forwarded
        own = replace(
            self._upstream.own_address(forwarded.host), source=forwarded.source
        )
        here = exchange.sent.target
        for value in links:
            text = value.decode("latin-1")
            mapped = link(text, own, exchange.request.to_public, here)
            if mapped is not None and not leads_back(text, here):
                yield b"Link", mapped.encode("latin-1")
            elif not self._has_told_of_link:
                self._has_told_of_link = True
                _log.warn(
                    "[upstream {name}]: a Link to more of a list leads elsewhere or to "
                    "the same page, and is not passed on; clients take the list to "
                    "end there",
                    name=self._upstream.name,
                )

    def _challenged(self, exchange: Exchange) -> Iterator[Header]:
        """Yield the challenges of a reply; a 401 is to have some."""
        request, reply = exchange.request, exchange.reply
        if exchange.sent.is_ours:
            # They are for us.
            return
        lines = self.challenges(reply.challenges, request)
        discovered = self._upstream.discovered
        if not lines and reply.status == 401 and discovered is not None:
            lines = self.challenges(discovered.challenges, request)
        yield from challenge_headers(lines)

    async def gather_list(self, reply: Reply) -> bytes:
        """Read the body of a list whole, decoded; raises `UpstreamMalformed`."""
        return await self._gather(reply, MAX_LIST_BYTES)

    async def _gather(self, reply: Reply, limit: int) -> bytes:
        seconds = self._upstream.config.timeout
        return await gather_plain(reply, limit, self._upstream.stalls, seconds)

    async def _tags(self, exchange: Exchange) -> bytes:
        name = exchange.request.asked.target.name
        assert name is not None
        return tags_list(await self.gather_list(exchange.reply), name)

    async def gather_error(self, reply: Reply) -> bytes:
        """Read the body of an error, decoded; empty where that cannot be."""
        try:
            return await self._gather(reply, MAX_ERROR_BYTES)
        except UpstreamMalformed:
            return b""

    def _error(self, exchange: Exchange, body: bytes) -> bytes:
        """Return the upstream's error as an OCI document with public names."""
        endpoint = exchange.request.asked.target.endpoint
        rewriter = self._rewriter(exchange.request)
        return error_body(exchange.reply.status, body, rewriter, endpoint)

    def _rewriter(self, request: UpstreamRequest) -> NameRewriter:
        public_host = request.asked.client.forwarded.host
        own = self._upstream.own_address(public_host)
        hosts = {own.origin.netloc, own.origin.host, public_host}
        known = {**request.names, **dict.fromkeys(hosts, public_host)}
        # The names of the request itself are known.
        to_public = request.asked.target.operation.mapping.to_public
        return NameRewriter(known, partial(to_public, upstream=request.target.upstream))
