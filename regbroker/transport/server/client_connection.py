"""What a client's connection says of all of its requests."""

from __future__ import annotations

from typing import NamedTuple

from twisted.web.server import Request

from regbroker.protocol.headers import peer_name
from regbroker.transport.server.streaming_request import StreamingRequest
from regbroker.transport.tls.negotiated import tls_version


class ClientConnection(NamedTuple):
    """
    One connection of a client's.

    `peer` is its address, or ``unix``; `tls` the version of TLS as the log has it,
    empty without TLS.
    """

    peer: str
    is_secure: bool
    tls: str


def client_connection(request: Request) -> ClientConnection:
    """Return what is known of a request's connection, of whatever site."""
    if not isinstance(request, StreamingRequest):
        return _look_at(request)
    # A request comes after the handshake, and nothing of this changes then.
    known: ClientConnection | None = request.channel.client_connection
    if known is None:
        known = request.channel.client_connection = _look_at(request)
    return known


def _look_at(request: Request) -> ClientConnection:
    transport = request.transport
    return ClientConnection(
        peer_name(request.getClientAddress()),
        request.isSecure(),
        tls_version(transport),
    )
