"""TLS for clients whose server name decides about the certificate."""

from __future__ import annotations

from typing import Any

from regbroker.protocol.client_hello import server_name
from regbroker.transport.tls.factory import TLSFactory
from regbroker.transport.tls.protocol import TLSProtocol
from regbroker.transport.tls.server_options import ServerOptions


class ServerTLSProtocol(TLSProtocol):
    """Gives OpenSSL nothing until the server name is there, where it matters."""

    factory: ServerTLSFactory
    _is_chosen = False
    _hello = b""

    def dataReceived(self, data: bytes) -> None:
        """Choose the certificate first."""
        if not self._is_chosen and self.factory.options.needs_name:
            self._hello += data
            name = server_name(self._hello)
            if name is None:
                return
            self._is_chosen = True
            data, self._hello = self._hello, b""
            self.factory.options.choose(self.getHandle(), name)
        super().dataReceived(data)


class ServerTLSFactory(TLSFactory):
    """Ends TLS in front of another factory, with the certificates of `options`."""

    protocol = ServerTLSProtocol

    def __init__(self, options: ServerOptions, wrapped: Any) -> None:
        super().__init__(options, False, wrapped)
        self.options = options
