"""TLS for clients whose server name decides about the certificate."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

from regbroker.protocol.client_hello import ClientHello
from regbroker.transport.tls.factory import TLSFactory
from regbroker.transport.tls.first_bytes import FirstBytes
from regbroker.transport.tls.memory import MemoryTLSProtocol
from regbroker.transport.tls.protocol import TLSProtocol
from regbroker.transport.tls.server_options import ServerOptions


class ServerNames(TLSProtocol):
    """Gives OpenSSL nothing until the server name is there, where it matters."""

    factory: ServerTLSFactory
    _is_chosen = False
    _hello: ClientHello | None = None

    def before_handshake(self, data: bytes) -> bytes:
        """Choose the certificate first."""
        if not self._is_chosen and self.factory.options.needs_name:
            if self._hello is None:
                self._hello = ClientHello()
                self._held = bytearray()
            self._held += data
            name = self._hello.server_name(data)
            if name is None:
                return b""
            data = bytes(self._held)
            self._is_chosen, self._hello = True, None
            del self._held
            self.factory.options.choose(self.getHandle(), name)
        return data


class _InMemory(ServerNames, MemoryTLSProtocol):
    pass


class _OverSocket(ServerNames, FirstBytes):
    pass


class ServerTLSFactory(TLSFactory):
    """Ends TLS in front of another factory, with the certificates of `options`."""

    protocol: Any = _InMemory
    #: What takes the place of `protocol` where a client comes over TCP.
    over_socket: Any = _OverSocket

    def __init__(self, options: ServerOptions, wrapped: Any) -> None:
        super().__init__(options, False, wrapped)
        self.options = options

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Return None, which closes the connection, where the other factory does.

        The address of a client is None where it came behind a PROXY line: what has
        been read then cannot be given to OpenSSL but through memory.
        """
        wrapped = self.wrappedFactory.buildProtocol(addr)
        if wrapped is None:
            return None
        is_tcp = isinstance(addr, (IPv4Address, IPv6Address))
        return (self.over_socket if is_tcp else self.protocol)(self, wrapped)
