"""The way back: an upstream's reply as the client is to see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import UNKNOWN_LENGTH

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
from regbroker.protocol.header_table import Direction
from regbroker.protocol.headers import (
    Header,
    end_to_end,
    limit_headers,
    passing,
    raw_headers,
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
from regbroker.transport.client_reply import Reply
from regbroker.transport.download_bodies import relay_body
from regbroker.transport.replies import send_bytes, set_status
from regbroker.transport.upload_bodies import gather_plain
from regbroker.upstream.registry import Upstream
from regbroker.web.carried_uploads import CarriedUploads
from regbroker.web.exchange import Exchange
from regbroker.web.forward import REWRITTEN
from regbroker.web.locations import Locations

_log = Logger()


class Answering:
    """Turns the replies of one upstream into replies to clients."""

    def __init__(
        self,
        upstream: Upstream,
        token_path: str,
        clock: IReactorTime,
        uploads: CarriedUploads | None = None,
    ) -> None:
        self._upstream = upstream
        self._locations = Locations(upstream, uploads)
        self._token_path = token_path
        self._clock = clock
        self._has_told_of_link = False

    async def answer(self, exchange: Exchange, reply: Reply) -> None:
        """
        Finish the client's request with an upstream's reply.

        Raises `UpstreamMalformed` for a reply that cannot be passed on,
        `UpstreamRefused` for one that is an error, and `TransferBroken` when
        either side breaks off in the middle.
        """
        if reply.status >= 400:
            raise await self.refusal(exchange, reply)
        headers = self._headers(exchange, reply)
        if (
            exchange.target.endpoint is Endpoint.TAGS
            and reply.status == 200
            and exchange.method == "GET"
        ):
            body = await self._tags(exchange, reply)
            self._begin(exchange, reply, headers, rewritten=True)
            send_bytes(exchange.request, reply.status, b"application/json", body)
        else:
            self._begin(exchange, reply, headers, rewritten=False)
            await self._relay(exchange, reply)

    async def refusal(self, exchange: Exchange, reply: Reply) -> UpstreamRefused:
        """
        Return an upstream's error as the client is to see it.

        Raises `UpstreamMalformed` for one that cannot be passed on.
        """
        headers = self._headers(exchange, reply)
        body = await self._error(exchange, reply)
        kept = list(passing(headers, Direction.OUR_BODY))
        return UpstreamRefused(reply.status, body, kept)

    def pass_on_limits(self, exchange: Exchange, reply: Reply) -> None:
        """Tell the client of an upstream's limits in a reply that is made here."""
        for name, value in limit_headers(raw_headers(reply.headers)):
            exchange.request.responseHeaders.setRawHeaders(name, [value])

    def challenges(
        self, challenges: tuple[Challenge, ...], exchange: Exchange
    ) -> list[bytes]:
        """
        Return an upstream's challenges as ours: one a line, Bearer first.

        The realm is ours, the scopes have public names; service and error are
        the upstream's.
        """
        forwarded = exchange.forwarded
        lines: dict[bytes, None] = {}
        for challenge in sorted(challenges, key=lambda c: c.scheme != "bearer"):
            if challenge.scheme == "bearer":
                scopes = public_scopes(
                    offered_scopes(challenge.get("scope") or ""),
                    exchange.to_public,
                )
                if exchange.mounted_from is not None:
                    # The client asks for what it is told here, and no more.
                    needed = exchange.wanted(of_upstream=False)
                    scopes = completed_scopes(scopes, needed)
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

    def _headers(self, exchange: Exchange, reply: Reply) -> list[Header]:
        try:
            if not 200 <= reply.status < 600:
                raise UpstreamMalformed(
                    f"the upstream registry answered with status {reply.status}"
                )
            return [*self._passed_on(reply), *self._mapped(exchange, reply)]
        except BaseException:
            reply.abort()
            raise

    def _passed_on(self, reply: Reply) -> Iterator[Header]:
        return passing(
            end_to_end(raw_headers(reply.headers), reply.connection_options),
            Direction.REPLY,
        )

    def _mapped(self, exchange: Exchange, reply: Reply) -> Iterator[Header]:
        forwarded = exchange.forwarded
        own = replace(
            self._upstream.own_address(forwarded.host), source=forwarded.source
        )
        yield from self._challenged(exchange, reply)
        location = self._locations.location(exchange, reply)
        if location is not None:
            yield b"Location", location.encode("latin-1")
        digest = exchange.target.reference or ""
        if (
            reply.status in (200, 206)
            and exchange.target.endpoint in (Endpoint.MANIFEST, Endpoint.BLOB)
            and exchange.method in ("GET", "HEAD")
            and is_digest(digest)
            and not reply.header(b"Docker-Content-Digest")
        ):
            # Some registries leave it out, and the specification wants it.
            yield b"Docker-Content-Digest", digest.encode()
        rewriter = self._rewriter(exchange)
        for value in reply.headers.getRawHeaders(b"Warning", ()):
            text = rewriter.text(value.decode("latin-1"))
            yield b"Warning", text.encode("latin-1", "replace")
        for value in reply.headers.getRawHeaders(b"Link", ()):
            here = exchange.asked.target if exchange.asked is not None else ""
            text = value.decode("latin-1")
            mapped = link(text, own, exchange.to_public, here)
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

    def _challenged(self, exchange: Exchange, reply: Reply) -> Iterator[Header]:
        """Yield the challenges of a reply; a 401 is to have some."""
        if exchange.asked is not None and exchange.asked.is_ours:
            # They are for us.
            return
        if reply.status in (401, 403):
            given = self.challenges(reply.challenges, exchange)
            known = self._upstream.known
            if not given and reply.status == 401 and known is not None:
                given = self.challenges(known.challenges, exchange)
            yield from challenge_headers(given)

    def _begin(
        self, exchange: Exchange, reply: Reply, headers: list[Header], rewritten: bool
    ) -> None:
        """Set status and headers; `rewritten` says that the body is made here."""
        set_status(exchange.request, reply.status)
        kept = passing(headers, Direction.OUR_BODY) if rewritten else headers
        for name, value in kept:
            exchange.request.responseHeaders.addRawHeader(name, value)

    async def _relay(self, exchange: Exchange, reply: Reply) -> None:
        request = exchange.request
        if (
            reply.length is not UNKNOWN_LENGTH
            and exchange.method != "HEAD"
            and reply.status not in (204, 304)
        ):
            request.setHeader(b"Content-Length", b"%d" % reply.length)
        elif exchange.target.endpoint in REWRITTEN:
            # A HEAD's length is that of the body with the upstream's name.
            request.responseHeaders.removeHeader(b"Content-Length")
        await relay_body(request, reply, self._clock, self._upstream.config.timeout)

    async def gather_list(self, reply: Reply) -> bytes:
        """Read the body of a list whole, decoded; raises `UpstreamMalformed`."""
        return await self._gather(reply, MAX_LIST_BYTES)

    async def _gather(self, reply: Reply, limit: int) -> bytes:
        seconds = self._upstream.config.timeout
        return await gather_plain(reply, limit, self._clock, seconds)

    async def _tags(self, exchange: Exchange, reply: Reply) -> bytes:
        assert exchange.target.name is not None
        body = await self.gather_list(reply)
        return tags_list(body, exchange.target.name)

    async def _error(self, exchange: Exchange, reply: Reply) -> bytes:
        """Return the upstream's error as an OCI document with public names."""
        try:
            body = await self._gather(reply, MAX_ERROR_BYTES)
        except UpstreamMalformed:
            body = b""
        endpoint = exchange.target.endpoint
        return error_body(reply.status, body, self._rewriter(exchange), endpoint)

    def _rewriter(self, exchange: Exchange) -> NameRewriter:
        own = self._upstream.own_address(exchange.forwarded.host)
        hosts = {own.origin.netloc, own.origin.host, exchange.forwarded.host}
        known = {**exchange.names, **dict.fromkeys(hosts, exchange.forwarded.host)}
        return NameRewriter(known, exchange.to_public)
