"""
Writing to a socket in the same turn of the reactor.

Twisted's transport waits for another turn before it writes, with two changes of what
epoll waits for. That is worth it where writes gather. Here they are gathered already.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.protocols.policies import ProtocolWrapper

from regbroker.transport.twisted_private import holds_nothing


def socket_below(transport: Any) -> FileDescriptor | None:
    """
    Return the transport that has the socket, below wrappers that only pass bytes on.

    It is None where something in between, another TLS for example, changes what is
    written, and where there is no socket.
    """
    while isinstance(transport, ProtocolWrapper):
        if type(transport).writeSequence is not ProtocolWrapper.writeSequence:
            return None
        transport = transport.transport
    return transport if isinstance(transport, FileDescriptor) else None


def send_now(transport: FileDescriptor, data: bytes) -> None:
    """Give bytes to a socket, as far as it takes them; the transport has the rest."""
    if transport.connected and not transport.disconnecting and holds_nothing(transport):
        sent = transport.writeSomeData(data)
        # An error comes again when the reactor writes, which knows what to do.
        if isinstance(sent, int) and sent > 0:
            data = data[sent:]
    if data:
        transport.write(data)
