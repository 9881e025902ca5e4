"""The way up: a request as the upstream is to see it."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from regbroker.errors import Denied, OwnAccountRefused, UpstreamTimeout
from regbroker.protocol.header_table import Direction
from regbroker.protocol.headers import (
    Header,
    connection_options,
    passing,
    raw_headers,
    request_headers,
    via,
)
from regbroker.protocol.names import Endpoint
from regbroker.protocol.queries import Query, join_target
from regbroker.transport.client_reply import Reply
from regbroker.transport.request_bodies import request_body
from regbroker.transport.streaming_request import StreamingRequest
from regbroker.transport.upload_bodies import Stall, UploadBody
from regbroker.upstream.authorization import Authorization
from regbroker.upstream.authorizer import Authorizer
from regbroker.upstream.own_login import NO_RIGHT
from regbroker.upstream.registry import Upstream
from regbroker.web.carried_uploads import CarriedUploads
from regbroker.web.exchange import Asked, Exchange

#: Lists are read and written anew here: they must come whole and unpacked.
REWRITTEN = (Endpoint.TAGS, Endpoint.CATALOG)

#: What they take is in the path and the query alone.
UPLOADING = (Endpoint.UPLOADS, Endpoint.UPLOAD)


#: A request is sent again when its token has run out, and when the upstream says
#: which one it wants.
MAX_SENT = 3


def _was_ours(exchange: Exchange) -> bool:
    return exchange.asked is not None and exchange.asked.is_ours


def _wants_token(reply: Reply) -> bool:
    """Tell whether a refusal says that another token would help."""
    if reply.status != 401:
        return False
    return any(one.scheme == "bearer" for one in reply.challenges)


class Asking:
    """
    Sends exchanges to one upstream.

    Where clients have no accounts, of their headers only those go up that are nobody's
    (`Direction.OURS`). `uploads` knows where those lie that are outside the API.
    """

    def __init__(
        self,
        upstream: Upstream,
        authorizer: Authorizer,
        clock: IReactorTime,
        uploads: CarriedUploads | None = None,
    ) -> None:
        self._upstream = upstream
        self._authorizer = authorizer
        self._clock = clock
        self._uploads = uploads

    async def ask(self, exchange: Exchange) -> Reply:
        """
        Send a request upstream; its body streams while this waits.

        A mount that the upstream refuses is sent again as an ordinary upload, unless
        the client may come again with a wider token (`regbroker.broker.mounts`). Raises
        `UpstreamError`, or what the client's body fails with.
        """
        attempt = exchange.mount_attempt
        try:
            reply = await self.send(exchange, exchange.query)
        except Denied:
            if exchange.mounted_from is None:
                raise
            # It is our account that may not pull there.
            exchange.mounts_nothing()
            return await self.send(exchange, exchange.query)
        if attempt is not None and reply.status == 201:
            attempt.succeeded()
        if (
            reply.status in (401, 403)
            and exchange.mounted_from is not None
            and (exchange.authorization is not None or _was_ours(exchange))
        ):
            if _wants_token(reply) and attempt is not None and attempt.tell():
                return reply
            # The client may push here, but not pull there: an upload, then.
            source = exchange.mounted_from
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
            # The refusal is of the mount, and names both repositories.
            exchange.mounted_from = source
        return reply

    async def send(self, exchange: Exchange, query: str | Query) -> Reply:
        """
        Send a request with this query; as `ask` otherwise.

        When the upstream refuses what is ours, and there is something else to say,
        the request is sent again, if nothing of its body has been read.
        """
        needed = exchange.wanted(of_upstream=True)
        said = await self._authorizer.authorize(exchange.authorization, needed)
        try:
            for _ in range(MAX_SENT):
                reply, again = await self._authorizer.reconsider(
                    said, needed, await self._send_once(exchange, query, said)
                )
                if again is None:
                    return reply
                had_token, said = said.grant is not None, again
                repeatable = _can_be_repeated(exchange)
                if not repeatable and reply.status == 403 and had_token:
                    return reply
                reply.abort()
                if not repeatable:
                    raise OwnAccountRefused(
                        "regbroker has logged in anew; send the request again",
                        headers=[(b"Retry-After", b"1")],
                    )
            raise Denied(NO_RIGHT)
        finally:
            said.release()

    async def _send_once(
        self, exchange: Exchange, query: str | Query, said: Authorization
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
                exchange.method,
                asked.target,
                asked.headers,
                upload,
                upload.upstream_continues if upload and expects else None,
            )
        )
        try:
            with event.upstream_time():
                return await asking
        except CancelledError:
            if not stalled:
                raise
            if upload:
                raise upload.why_stalled(self._upstream.config.timeout) from None
            raise UpstreamTimeout("the upstream registry did not answer") from None
        finally:
            stall.stop()
            if upload:
                event.bytes_in = upload.bytes_sent

    def _target(self, exchange: Exchange, query: str | Query) -> str:
        target, route = exchange.target, exchange.route
        if route is None:
            return join_target(target.path, query)
        if self._uploads is not None and target.endpoint is Endpoint.UPLOAD:
            origin = self._upstream.own_address("").origin
            upload = target.reference or ""
            carried = self._uploads.target(upload, str(query), route, origin)
            if carried is not None:
                return carried
        return join_target(target.path_for(route.upstream_name), query)

    def _headers(self, exchange: Exchange, in_our_name: bool) -> Iterator[Header]:
        given = exchange.request.requestHeaders
        options = connection_options(given.getRawHeaders(b"Connection", ()))
        is_list = exchange.target.endpoint in REWRITTEN
        is_upload = exchange.target.endpoint in UPLOADING
        forwarded = Direction.OURS if in_our_name else Direction.CLIENT
        headers = request_headers(raw_headers(given), options, forwarded)
        if is_list:
            headers = passing(headers, Direction.LIST)
        if is_upload:
            headers = passing(headers, Direction.UPLOAD)
        yield from headers
        if is_list:
            yield b"Accept-Encoding", b"identity"
        if is_upload:
            # distribution reads "mount" and "from" out of a form, too, before those
            # of the query: names that nobody has mapped or allowed.
            yield b"Content-Type", b"application/octet-stream"
        yield from exchange.forwarded.headers()
        yield via(given.getRawHeaders(b"Via", ()))


def _can_be_repeated(exchange: Exchange) -> bool:
    """Tell whether nothing of a request's body has been read from the client."""
    request = exchange.request
    if request_body(request) is None:
        return True
    # It waits for "100 Continue" still.
    return isinstance(request, StreamingRequest) and request.body.expects_continue
