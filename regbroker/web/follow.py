"""
Following redirects, for clients that cannot reach the servers behind regbroker.

A reply that redirects is replaced by the reply that it leads to. The upstream's own
origin is asked over its own connections. Every other server is a storage: it gets
nothing that says who the client is, and only the bytes that it sends are used.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from regbroker.causes import Cause
from regbroker.errors import (
    RedirectRefused,
    StorageRefused,
    UpstreamError,
    UpstreamMalformed,
    code_for_status,
)
from regbroker.protocol.followed_redirects import (
    MAX_HOPS,
    REDIRECTS,
    check_wants_no_login,
    next_url,
)
from regbroker.protocol.header_table import Direction, way
from regbroker.protocol.headers import Header, crossing, end_to_end, passing
from regbroker.protocol.locations import (
    inner_target,
    is_api,
    is_plainly_outside,
)
from regbroker.protocol.names import Endpoint
from regbroker.protocol.own_address import OwnAddress
from regbroker.protocol.own_redirects import check_leads_on, is_followed
from regbroker.protocol.queries import split_target
from regbroker.protocol.urls import Url
from regbroker.transport.bodies.upload import gather_body
from regbroker.transport.client.reply import Reply
from regbroker.transport.flow.stalls import Stall
from regbroker.upstream.registry import Upstream
from regbroker.upstream.storages import STORAGE
from regbroker.web.exchange import Exchange

#: A page for people, who would be told to click: what is longer, or takes longer
#: than that, costs more than a new connection.
MAX_PAGE_BYTES = 64 * 1024
PAGE_SECONDS = 5.0

#: What a storage may answer with its content, or with the news that the client
#: has it already.
_CONTENT = (200, 206, 304)

#: What clients act on. The storage's own words may name buckets and accounts.
_REFUSALS = {
    403: "does not give this out",
    404: "does not have this",
    410: "has this no more",
    412: "has this, but not as the request's conditions want it",
    416: "has no such range of this",
    429: "is asked for too much",
    503: "is not available now",
}

#: What is missing when a storage does not have what it was asked for.
_MISSING = {Endpoint.BLOB: "BLOB_UNKNOWN", Endpoint.MANIFEST: "MANIFEST_UNKNOWN"}

#: Of a refusal's headers: when to come again, and what ranges there are.
_REFUSED = {416: Direction.NO_RANGE, 429: Direction.BUSY, 503: Direction.BUSY}

_log = Logger()


class CancelledAtStorage(CancelledError):
    """A request was cancelled while it waited for a storage, and for no upstream."""


class RedirectFollower:
    """Follows the redirects of one upstream."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def follow(self, exchange: Exchange) -> Exchange:
        """
        Return what an upstream's reply leads to: itself, mostly.

        Only what reads is followed, and never an upload, whose Locations are
        places to write to. Raises `UpstreamError` when there is nothing that
        could be passed on; the client has seen nothing then. Raises
        `CancelledAtStorage` when it is cancelled while a storage is waited for.
        """
        asked = exchange.request.asked
        if (
            exchange.reply.status not in REDIRECTS
            or asked.client.method not in ("GET", "HEAD")
            or asked.target.operation.is_upload
        ):
            return exchange
        try:
            with asked.event.upstream_time(more=True):
                return exchange.with_reply(await self._follow(exchange))
        except RedirectRefused as refused:
            _log.warn(
                "[upstream {name}]: a redirect is not followed: {why}",
                name=self._upstream.name,
                why=refused.why,
            )
            raise

    async def _follow(self, exchange: Exchange) -> Reply:
        client = exchange.request.asked.client
        own = self._upstream.own_address(client.forwarded.host)
        reply, sent = exchange.reply, exchange.sent
        url = Url(own.origin, own.base_path + sent.target)
        headers = sent.headers
        known: dict[bytes, list[Header]] = {}
        try:
            for _ in range(MAX_HOPS):
                if url.origin == own.origin:
                    known |= _by_name(_crossing(reply, Direction.FOLLOWED))
                url = await self._next_url(exchange, reply, url, own)
                if url.origin != own.origin:
                    headers = tuple(passing(headers, Direction.TO_STORAGE))
                reply = await self._ask(client.method, url, headers, own)
                if reply.status not in REDIRECTS:
                    break
            else:
                reply.abort()
                raise RedirectRefused(
                    f"it is the last of more than {MAX_HOPS} in a row"
                )
            if url.origin != own.origin:
                content = await self._content(exchange, reply, url)
                return reply.with_headers([*content, *_flat(known)])
        except CancelledError:
            if url.origin != own.origin:
                raise CancelledAtStorage from None
            raise
        if reply.status == 401 and sent.is_ours:
            # Nothing that the client could do something about.
            reply.abort()
            raise UpstreamMalformed(
                "the upstream redirects to where it wants other credentials"
            )
        passed_on = _by_name(end_to_end(reply.headers, reply.connection_options))
        return reply.with_headers(_flat(known | passed_on))

    async def _next_url(
        self, exchange: Exchange, reply: Reply, url: Url, own: OwnAddress
    ) -> Url:
        """Return where a reply of `url` leads; its body is read off."""
        location = (reply.header(b"Location") or b"").decode("latin-1")
        await self._read_off(reply)
        if not location:
            raise UpstreamMalformed("the upstream redirects without saying where")
        if url.origin == own.origin:
            check_leads_on(location, own, inner_target(url.target, own))
        following = next_url(url, location, own)
        if following.origin != own.origin:
            return following
        if url.origin != own.origin:
            # A stranger does not get to say what is asked of the upstream.
            raise RedirectRefused("it leads from elsewhere back to the upstream")
        return self._own_url(exchange, following, own)

    def _own_url(self, exchange: Exchange, url: Url, own: OwnAddress) -> Url:
        """Return a URL on the upstream's own host, if it may be asked for."""
        target, endpoint = url.target, exchange.request.asked.target.endpoint
        prefixes = self._upstream.config.redirect_paths
        if not is_followed(target, own, exchange.request.to_public, endpoint, prefixes):
            if is_api(target, own) or not is_plainly_outside(target, own):
                raise RedirectRefused(
                    f"it leads to what is not served here, or to no {endpoint.value}"
                )
            path, _ = split_target(target)
            raise RedirectRefused(
                f"it leads to another path of the upstream's own host, {path[:60]!r}; "
                "if that is right, write how such paths begin: 'redirect-paths = "
                "/BEGINNING/'"
            )
        if is_api(target, own):
            # Its own proxy may have taken the base path away.
            target = own.base_path + inner_target(target, own)
        return Url(url.origin, target)

    async def _ask(
        self, method: str, url: Url, headers: Iterable[Header], own: OwnAddress
    ) -> Reply:
        if url.origin == own.origin:
            return await self._upstream.connections.request(
                method.encode(), url.target.encode("latin-1"), headers
            )
        try:
            return await self._upstream.storages.request(method, url, headers)
        except RedirectRefused:
            raise
        except UpstreamError as error:
            # It is not the upstream that has failed: there may be other storages.
            raise StorageRefused(
                error.status, error.code, error.message, cause=error.cause
            ) from error

    async def _content(
        self, exchange: Exchange, reply: Reply, url: Url
    ) -> list[Header]:
        """Return a storage's headers about its content; raises `UpstreamError`."""
        if reply.status in _CONTENT:
            return _crossing(reply, Direction.FROM_STORAGE)
        await self._read_off(reply)
        check_wants_no_login(url, reply.status, reply.header(b"WWW-Authenticate"))
        if reply.status not in _REFUSALS:
            raise UpstreamMalformed(
                f"{STORAGE} answered with status {reply.status}",
                cause=Cause.STORAGE_MALFORMED,
            )
        code = code_for_status(reply.status)
        if reply.status in (404, 410):
            code = _MISSING.get(exchange.request.asked.target.endpoint, code)
        raise StorageRefused(
            reply.status,
            code,
            f"{STORAGE} {_REFUSALS[reply.status]}",
            _crossing(reply, _REFUSED.get(reply.status, Direction.NONE)),
        )

    async def _read_off(self, reply: Reply) -> None:
        """Read a body that nobody wants, so that its connection is free again."""
        stall = Stall(self._upstream.stalls, PAGE_SECONDS, reply.abort)
        try:
            await gather_body(reply, MAX_PAGE_BYTES)
        except UpstreamMalformed:
            # It was too long, or broken off: so is its connection.
            pass
        finally:
            stall.stop()


def _crossing(reply: Reply, direction: Direction) -> list[Header]:
    return crossing(reply.headers, reply.connection_options, way(direction))


def _by_name(headers: Iterable[Header]) -> dict[bytes, list[Header]]:
    """Return headers by their names in lower case, values in order."""
    by_name: dict[bytes, list[Header]] = {}
    for header in headers:
        by_name.setdefault(header[0].lower(), []).append(header)
    return by_name


def _flat(headers: dict[bytes, list[Header]]) -> list[Header]:
    return [header for several in headers.values() for header in several]
