"""Forwarding: a client's request is sent to an upstream, as that is to see it."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from regbroker.errors import Denied, OwnAccountRefused, UpstreamTimeout
from regbroker.protocol.header_table import Direction, way
from regbroker.protocol.headers import (
    NO_OPTIONS,
    OUR_VIA,
    Header,
    connection_options,
    crossing,
    passing,
    via,
)
from regbroker.protocol.names import Endpoint
from regbroker.protocol.retry_after import retry_after
from regbroker.protocol.scopes import Scope
from regbroker.runtime.outcome import Outcome
from regbroker.transport.bodies.stalls import Stall
from regbroker.transport.bodies.upload import UploadBody
from regbroker.transport.client.reply import Reply
from regbroker.transport.server.request_bodies import StreamedBody, request_body
from regbroker.transport.server.streaming_request import StreamingRequest
from regbroker.upstream.authorization import REFUSALS, Authorization
from regbroker.upstream.authorizer import Authorizer
from regbroker.upstream.own_login import NO_RIGHT
from regbroker.upstream.registry import Upstream
from regbroker.web.carried_uploads import CarriedUploads
from regbroker.web.client_request import ClientRequest
from regbroker.web.exchange import Exchange, Sent, UpstreamRequest
from regbroker.web.mapped_target import MappedTarget

#: What goes up of a client's headers: with its own account there, and with another.
_OF_CLIENTS, _OF_OURS = way(Direction.CLIENT), way(Direction.OURS)

#: A request is sent again when its token has run out, and when the upstream says
#: which one it wants.
MAX_SENT = 3

#: So many blobs do docker and containerd ask for at once, as they are set up. A
#: connection for each is opened while their manifest is on its way.
BLOBS_AT_ONCE = 3


class Forwarder:
    """
    Forwards requests to one upstream.

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

    async def forward(self, request: UpstreamRequest) -> Exchange:
        """
        Send a request upstream; its body streams while this waits.

        When the upstream refuses credentials of ours and there are others to try, the
        request is sent again, if nothing of its body has been read. Raises
        `UpstreamError`, or what the client's body fails with.
        """
        needed, shown = request.scopes, request.asked.client.authorization
        owner = self._authorizer.policy.owner(shown, needed)
        if owner.is_ours:
            authorization = await self._authorizer.of_ours(owner, needed)
            return await self._forward_as_ours(request, authorization, needed)
        value = self._authorizer.of_client(shown)
        exchange = await self._send_once(request, value, False)
        reply = exchange.reply
        if reply.status in REFUSALS:
            # It is the client's affair, and says something of the upstream.
            refused = Authorization(owner, value)
            await self._authorizer.reconsider(refused, needed, reply)
        return exchange

    async def _forward_as_ours(
        self,
        request: UpstreamRequest,
        authorization: Authorization,
        needed: tuple[Scope, ...],
    ) -> Exchange:
        """Send a request, and again while there are other credentials to try."""
        try:
            for _ in range(MAX_SENT):
                exchange = await self._send_once(request, authorization.value, True)
                reply, renewed = await self._authorizer.reconsider(
                    authorization, needed, exchange.reply
                )
                exchange = exchange.with_reply(reply)
                if renewed is None:
                    return exchange
                had_token, authorization = authorization.grant is not None, renewed
                repeatable = can_be_repeated(request.asked.client)
                if not repeatable and reply.status == 403 and had_token:
                    return exchange
                reply.abort()
                if not repeatable:
                    raise OwnAccountRefused(
                        "regbroker has logged in anew; send the request again",
                        headers=[retry_after(1)],
                    )
            raise Denied(NO_RIGHT)
        finally:
            authorization.release()

    async def _send_once(
        self, request: UpstreamRequest, authorization: str | None, is_ours: bool
    ) -> Exchange:
        asked = request.asked
        client, event = asked.client, asked.event
        method, body = client.method, request_body(client.http)
        expects = body is not None and _expects_continue(client)
        in_our_name = is_ours or not self._authorizer.policy.clients
        headers = self._headers(client, asked.target, in_our_name)
        if authorization is not None:
            headers.append((b"Authorization", authorization.encode("latin-1")))
        if expects:
            headers.append((b"Expect", b"100-continue"))
        target = self._target(request)
        sent = Sent(target, tuple(headers), is_ours)
        sending: Outcome[Reply]
        stalled = False

        def on_stall() -> None:
            nonlocal stalled
            stalled = True
            sending.cancel()

        seconds = self._upstream.config.timeout
        stall = Stall(self._upstream.stalls, seconds, on_stall)
        event.asks_with(method)
        upload = body and UploadBody(body, self._clock, stall, expects)
        sending = self._upstream.connections.request(
            method.encode(),
            (self._upstream.config.base_path + target).encode("latin-1"),
            headers,
            upload,
            upload.upstream_continues if upload and expects else None,
        )
        if asked.target.leads_to_blobs:
            self._upstream.connections.prepare(BLOBS_AT_ONCE)
        started = event.clock()
        try:
            return Exchange(request, sent, await sending)
        except CancelledError:
            if not stalled:
                raise
            if upload:
                raise upload.why_stalled(seconds) from None
            raise UpstreamTimeout("the upstream registry did not answer") from None
        finally:
            stall.stop()
            event.upstream_seconds = event.clock() - started
            if upload:
                event.bytes_in = upload.bytes_sent

    def _target(self, request: UpstreamRequest) -> str:
        target, route, query = request.asked.target, request.target.route, request.query
        if (
            self._uploads is not None
            and route is not None
            and target.endpoint is Endpoint.UPLOAD
        ):
            origin = self._upstream.own_address("").origin
            upload = target.reference or ""
            carried = self._uploads.target(upload, str(query), route, origin)
            if carried is not None:
                return carried
        path = request.target.path
        return f"{path}?{query.text}" if query.text else path

    def _headers(
        self, client: ClientRequest, target: MappedTarget, in_our_name: bool
    ) -> list[Header]:
        received = client.headers
        by_name = received.by_name
        options = NO_OPTIONS
        if b"connection" in by_name:
            options = connection_options(received.all(b"connection"))
        headers = crossing(received, options, _OF_OURS if in_our_name else _OF_CLIENTS)
        if target.is_rewritten:
            # They must come whole and unpacked.
            headers = passing(headers, Direction.LIST)
            headers.append((b"Accept-Encoding", b"identity"))
        elif target.is_upload:
            headers = passing(headers, Direction.UPLOAD)
            # distribution reads "mount" and "from" out of a form, too, before those
            # of the query: names that nobody has mapped or allowed.
            headers.append((b"Content-Type", b"application/octet-stream"))
        headers += client.forwarded.headers(client.request_id)
        headers.append(via(received.all(b"via")) if b"via" in by_name else OUR_VIA)
        return headers


def can_be_repeated(client: ClientRequest) -> bool:
    """Tell whether nothing of a request's body has been read from the client."""
    body = request_body(client.http)
    return body is None or (isinstance(body, StreamedBody) and body.is_untouched)


def _expects_continue(client: ClientRequest) -> bool:
    """Tell whether the client waits for ``100 Continue`` still."""
    http = client.http
    return isinstance(http, StreamingRequest) and http.body.expects_continue
