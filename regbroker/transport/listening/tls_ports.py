"""
The TLS of a port, and what the log says where it fails.

Plain HTTP that is sent to such a port is answered with a 400 that says so.

A TLS record begins with a byte from 20 to 23 (RFC 8446, 5.1), an HTTP request with a
capital letter. So the first byte decides, and TLS clients lose nothing.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from regbroker.errors import BadRequest
from regbroker.protocol.headers import peer_name
from regbroker.transport.pyopenssl_private import refused_certificate
from regbroker.transport.server.lingering import LingeringClose
from regbroker.transport.tls.first_bytes import FirstBytes
from regbroker.transport.tls.memory import MemoryTLSProtocol
from regbroker.transport.tls.server_names import ServerNames, ServerTLSFactory
from regbroker.transport.tls.server_options import ServerOptions

_MESSAGE = "this is plain HTTP, and the port is for TLS; write https://"


class _TLSOrPlain(ServerNames):
    """TLS on one connection, with a look at its first byte."""

    factory: TLSOrPlainFactory
    _is_first = True
    _closing: LingeringClose | None = None

    def before_handshake(self, data: bytes) -> bytes:
        """Take TLS, and answer plain HTTP."""
        if self._closing is not None:
            self._closing.received(len(data))
            return b""
        if self._is_first:
            self._is_first = False
            if b"A" <= data[:1] <= b"Z":
                self._refuse(data)
                return b""
        return super().before_handshake(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the timers, tell why TLS failed, and pass the end on."""
        if self._closing is not None:
            self._closing.stop()
        error = self.failure()
        if error is not None:
            self.factory.site.failed_tls.tell(
                peer_name(self.getPeer()),
                self.factory.listener,
                error,
                refused_certificate(self._connection),
            )
        super().connectionLost(reason)

    def _refuse(self, data: bytes) -> None:
        self.leave_to_transport()
        transport: Any = self.transport
        site = self.factory.site
        peer = peer_name(transport.getPeer())
        error = BadRequest(_MESSAGE)
        site.malformed.tell(peer, "plain HTTP, on a port for TLS", error.status)
        body = b"" if data.startswith(b"HEAD ") else error.body()
        transport.write(
            b"HTTP/1.1 400 Bad Request\r\n"
            b"Content-Type: application/json\r\n"
            b"Docker-Distribution-Api-Version: registry/2.0\r\n"
            b"Connection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(error.body()), body)
        )
        self._closing = LingeringClose(transport, site.reactor.callLater)


class _InMemory(_TLSOrPlain, MemoryTLSProtocol):
    pass


class _OverSocket(_TLSOrPlain, FirstBytes):
    pass


class TLSOrPlainFactory(ServerTLSFactory):
    """
    Ends TLS in front of `site`, and tells it of plain HTTP, and of TLS that failed.

    `listener` is the line of the configuration.
    """

    protocol = _InMemory
    over_socket = _OverSocket

    def __init__(self, options: ServerOptions, site: Any, listener: str) -> None:
        super().__init__(options, site)
        self.listener = listener
        self.site = site
