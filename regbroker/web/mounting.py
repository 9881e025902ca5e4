"""Mounts are forwarded: as a mount first, and as an ordinary upload if they must be."""

from __future__ import annotations

from regbroker.errors import Denied
from regbroker.transport.client.reply import Reply
from regbroker.web.exchange import Exchange, UpstreamRequest
from regbroker.web.forward import Forwarder, can_be_repeated


async def forward_mount(forwarder: Forwarder, request: UpstreamRequest) -> Exchange:
    """
    Forward a mount.

    A mount that the upstream refuses is sent again as an ordinary upload, which is what
    registries should make of it themselves. It is not if the client may come again with
    a wider token (`regbroker.broker.mounts`), nor if the body is gone. Raises as
    `Forwarder.forward`.
    """
    assert request.mount is not None
    attempt = request.mount.attempt
    as_upload = request.without_mount()
    try:
        exchange = await forwarder.forward(request)
    except Denied:
        if not can_be_repeated(request.asked.client):
            raise
        # It is our account that may not pull there.
        return await forwarder.forward(as_upload)
    reply = exchange.reply
    if attempt is not None and reply.status == 201:
        attempt.succeeded()
    if not _may_be_the_mount(exchange):
        return exchange
    if _wants_token(reply) and attempt is not None and attempt.challenge():
        return exchange
    if not can_be_repeated(request.asked.client):
        return exchange
    # The client may push here, but not pull there, or there is nothing to mount.
    try:
        second = await forwarder.forward(as_upload)
    except BaseException:
        reply.abort()
        raise
    if second.reply.status == 202:
        reply.abort()
        return second
    second.reply.abort()
    # The refusal is of the mount, and names both repositories.
    return exchange


def _may_be_the_mount(exchange: Exchange) -> bool:
    """Tell whether a reply refuses a mount, and might not refuse an upload."""
    status = exchange.reply.status
    if status in (401, 403):
        # Without credentials it is a login that is wanted.
        authorization = exchange.request.asked.client.authorization
        return authorization is not None or exchange.sent.is_ours
    return 400 <= status < 500 and status != 429


def _wants_token(reply: Reply) -> bool:
    """Tell whether a refusal says that another token would help."""
    if reply.status != 401:
        return False
    return any(one.scheme == "bearer" for one in reply.challenges)
