"""Which version of TLS a client's connection uses, for the log."""

from __future__ import annotations

from regbroker.transport.tls_protocol import TLSProtocol


def tls_version(transport: object) -> str:
    """Return for example ``TLSv1.3``; an empty text for a connection without TLS."""
    if not isinstance(transport, TLSProtocol):
        return ""
    return transport.version
