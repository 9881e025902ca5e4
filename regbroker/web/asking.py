"""The way up: a request as the upstream is to see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from regbroker.authorization import Authorization
from regbroker.authorizing import Authorizer
from regbroker.carried import CarriedUploads
from regbroker.channel import StreamingRequest
from regbroker.connections import Reply
from regbroker.errors import Denied, OwnAccountRefused, UpstreamTimeout
from regbroker.headers import (
    Header,
    connection_options,
    headers_in_our_name,
    raw_headers,
    request_headers,
    via,
)
from regbroker.names import Endpoint
from regbroker.ownlogin import NO_RIGHT
from regbroker.queries import join_target
from regbroker.requestbody import request_body
from regbroker.streams import Stall, UploadBody
from regbroker.upstreams import Upstream
from regbroker.web.exchange import Asked, Exchange

#: Lists are read and written anew here: they must come whole and unpacked.
REWRITTEN = (Endpoint.TAGS, Endpoint.CATALOG)

#: What they take is in the path and the query alone.
UPLOADING = (Endpoint.UPLOADS, Endpoint.UPLOAD)

_NOT_FOR_LISTS = frozenset({b"accept-encoding", b"range", b"if-range"})


#: A request is sent again when its token has run out, and when the upstream says
#: which one it wants.
MAX_SENT = 3


class Asking:
    """
    Sends exchanges to one upstream.

    Where clients have no accounts, of their headers only those go up that
    `headers_in_our_name` knows. `uploads` knows where those lie that are outside the
    API.
    """

    def __init__(
        self,
        upstream: Upstream,
        authorizer: Authorizer,
        clock: Any,
        uploads: CarriedUploads | None = None,
    ) -> None:
        self._upstream = upstream
        self._authorizer = authorizer
        self._clock = clock
        self._uploads = uploads

    async def ask(self, exchange: Exchange) -> Reply:
        """
        Send a request upstream; its body streams while this waits.

        A mount that the upstream refuses is sent again as an ordinary upload.
        Raises `UpstreamError`, or what the client's body fails with.
        """
        reply = await self.send(exchange, exchange.query)
        if (
            reply.status in (401, 403)
            and exchange.authorization is not None
            and exchange.mounted_from is not None
        ):
            # The client may push here, but not pull there: an upload, then.
            exchange.mounts_nothing()
            try:
                second = await self.send(exchange, exchange.query)
            except BaseException:
                reply.abort()
                raise
            if second.status == 202:
                reply.abort()
                return second
            second.abort()
        return reply

    async def send(self, exchange: Exchange, query: str) -> Reply:
        """
        Send a request with this query; as `ask` otherwise.

        When the upstream refuses what is ours, and there is something else to say,
        the request is sent again, if nothing of its body has been read.
        """
        needed = exchange.wanted(of_upstream=True)
        said = await self._authorizer.authorize(exchange.authorization, needed)
        for _ in range(MAX_SENT):
            reply, again = await self._authorizer.reconsider(
                said, needed, await self._send_once(exchange, query, said)
            )
            if again is None:
                return reply
            repeatable = _can_be_repeated(exchange)
            if not repeatable and reply.status == 403 and said.grant is not None:
                return reply
            reply.abort()
            if not repeatable:
                raise OwnAccountRefused(
                    "regbroker has logged in anew; send the request again",
                    headers=[(b"Retry-After", b"1")],
                )
            said = again
        raise Denied(NO_RIGHT)

    async def _send_once(
        self, exchange: Exchange, query: str, said: Authorization
    ) -> Reply:
        request, event = exchange.request, exchange.event
        target = self._target(exchange, query)
        body = request_body(request)
        expects = isinstance(request, StreamingRequest) and (
            request.body.expects_continue
        )
        in_our_name = said.is_ours or not self._authorizer.policy.clients
        headers = list(self._headers(exchange, in_our_name))
        if said.value is not None:
            headers.append((b"Authorization", said.value.encode("latin-1")))
        if expects:
            headers.append((b"Expect", b"100-continue"))
        asked = Asked(target, tuple(headers), said.is_ours)
        exchange.asked = asked
        before = event.seconds
        asking: Deferred[Reply]
        stalled = False

        def on_stall() -> None:
            nonlocal stalled
            stalled = True
            asking.cancel()

        stall = Stall(self._clock, self._upstream.config.timeout, on_stall)
        upload = body and UploadBody(body, self._clock, stall, expects)
        asking = Deferred.fromCoroutine(
            self._upstream.request(
                event.method,
                asked.target,
                asked.headers,
                upload,
                upload.upstream_continues if upload and expects else None,
            )
        )
        try:
            return await asking
        except CancelledError:
            if not stalled:
                raise
            if upload:
                raise upload.why_stalled(self._upstream.config.timeout) from None
            raise UpstreamTimeout("the upstream registry did not answer") from None
        finally:
            stall.stop()
            event.upstream_seconds = event.seconds - before
            if upload:
                event.bytes_in = upload.bytes_sent

    def _target(self, exchange: Exchange, query: str) -> str:
        target, route = exchange.target, exchange.route
        if route is None:
            return join_target(target.path, query)
        if self._uploads is not None and target.endpoint is Endpoint.UPLOAD:
            origin = self._upstream.own_address("").origin
            upload = target.reference or ""
            carried = self._uploads.target(upload, query, route, origin)
            if carried is not None:
                return carried
        return join_target(target.path_for(route.upstream_name), query)

    def _headers(self, exchange: Exchange, in_our_name: bool) -> Iterator[Header]:
        given = exchange.request.requestHeaders
        options = connection_options(given.getRawHeaders(b"Connection", ()))
        is_list = exchange.target.endpoint in REWRITTEN
        is_upload = exchange.target.endpoint in UPLOADING
        headers = request_headers(raw_headers(given), options)
        if in_our_name:
            headers = headers_in_our_name(headers)
        for name, value in headers:
            if name.lower() == b"authorization":
                continue
            if is_upload and name.lower().replace(b"_", b"-") == b"content-type":
                continue
            if not (is_list and name.lower() in _NOT_FOR_LISTS):
                yield name, value
        if is_list:
            yield b"Accept-Encoding", b"identity"
        if is_upload:
            # distribution reads "mount" and "from" out of a form, too, before those
            # of the query: names that nobody has mapped or allowed.
            yield b"Content-Type", b"application/octet-stream"
        yield from exchange.way.headers()
        yield via(given.getRawHeaders(b"Via", ()))


def _can_be_repeated(exchange: Exchange) -> bool:
    """Tell whether nothing of a request's body has been read from the client."""
    request = exchange.request
    if request_body(request) is None:
        return True
    # It waits for "100 Continue" still.
    return isinstance(request, StreamingRequest) and request.body.expects_continue
