"""Forwarding: a client's request is sent to an upstream, as that is to see it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.interfaces import IReactorTime

from regbroker.errors import Denied, OwnAccountRefused
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
from regbroker.protocol.retry_after import retry_after
from regbroker.protocol.scopes import Scope
from regbroker.transport.bodies.upload import UploadBody
from regbroker.transport.server.request_bodies import StreamedBody, request_body
from regbroker.transport.server.streaming_request import StreamingRequest
from regbroker.upstream.authorization import REFUSALS, Authorization
from regbroker.upstream.authorizer import Authorizer
from regbroker.upstream.own_login import NO_RIGHT
from regbroker.upstream.policy import CredentialOwner
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

    def forward(self, request: UpstreamRequest) -> Coroutine[Any, Any, Exchange]:
        """
        Send a request upstream; its body streams while this waits.

        When the upstream refuses credentials of ours and there are others to try, the
        request is sent again, if nothing of its body has been read. Raises
        `UpstreamError`, or what the client's body fails with.
        """
        shown, needed = request.asked.client.authorization, request.scopes
        owner = self._authorizer.policy.owner(shown, needed)
        if owner.is_ours:
            return self._forward_as_ours(request, owner, needed)
        return self._send(request, owner, self._authorizer.of_client(shown))

    async def _forward_as_ours(
        self,
        request: UpstreamRequest,
        owner: CredentialOwner,
        needed: tuple[Scope, ...],
    ) -> Exchange:
        """Send a request, and again while there are other credentials to try."""
        authorization = await self._authorizer.of_ours(owner, needed)
        try:
            for _ in range(MAX_SENT):
                exchange = await self._send(request, owner, authorization.value)
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

    async def _send(
        self, request: UpstreamRequest, owner: CredentialOwner, value: str | None
    ) -> Exchange:
        """
        Send a request once, with this Authorization.

        What a refusal of the client's own says of the upstream is noted.
        """
        asked, path, query = request.asked, request.target.path, request.query.text
        client, event, target = asked.client, asked.event, asked.target
        is_ours, body = owner.is_ours, request_body(client.http)
        headers = self._headers(client, target, is_ours)
        if value is not None:
            headers.append((b"Authorization", value.encode("latin-1")))
        upload: UploadBody | None = None
        if body is not None:
            upload = UploadBody(body, self._clock, _expects_continue(client))
            if upload.waits:
                headers.append((b"Expect", b"100-continue"))
        if query:
            path = f"{path}?{query}"
        if target.operation.is_upload:
            path = self._carried(request) or path
        event.asks_with(client.method)
        upstream = self._upstream
        whole_path = (upstream.config.base_path + path).encode("latin-1")
        connections = upstream.connections
        sending = connections.request(
            client.method.encode(), whole_path, headers, upload
        )
        if target.operation.leads_to_blobs:
            connections.prepare(BLOBS_AT_ONCE)
        started = event.clock()
        try:
            reply = await sending
        finally:
            event.upstream_seconds = event.clock() - started
            if upload is not None:
                event.bytes_in = upload.bytes_sent
        if not is_ours and reply.status in REFUSALS:
            # It is the client's affair, and says something of the upstream.
            refused = Authorization(owner, value)
            await self._authorizer.reconsider(refused, request.scopes, reply)
        return Exchange(request, Sent(path, headers, is_ours), reply)

    def _carried(self, request: UpstreamRequest) -> str | None:
        """Return where an upload lies outside the API, if it does."""
        target, route = request.asked.target, request.target.route
        if self._uploads is None or route is None or not target.reference:
            return None
        origin = self._upstream.own_address("").origin
        query = str(request.query)
        return self._uploads.target(target.reference, query, route, origin)

    def _headers(
        self, client: ClientRequest, target: MappedTarget, is_ours: bool
    ) -> list[Header]:
        """Return what goes up of a client's headers, and what tells of its way."""
        received = client.headers
        by_name = received.by_name
        in_our_name = is_ours or not self._authorizer.policy.clients
        options = NO_OPTIONS
        if b"connection" in by_name:
            options = connection_options(received.all(b"connection"))
        headers = crossing(received, options, _OF_OURS if in_our_name else _OF_CLIENTS)
        if target.operation.is_rewritten:
            # They must come whole and unpacked.
            headers = passing(headers, Direction.LIST)
            headers.append((b"Accept-Encoding", b"identity"))
        elif target.operation.is_upload:
            headers = passing(headers, Direction.UPLOAD)
            # distribution reads "mount" and "from" out of a form, too, before those
            # of the query: names that nobody has mapped or allowed.
            headers.append((b"Content-Type", b"application/octet-stream"))
        headers += client.forwarded.headers
        headers.append((b"X-Request-ID", client.request_id.encode()))
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
