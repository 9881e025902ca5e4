"""
What a client sends first, looked at before OpenSSL takes it from the socket.

Facts that shape this module:

- OpenSSL takes what it has read. So what is to be known before, the first byte and the
  server name, is looked at with MSG_PEEK.
- With SO_RCVLOWAT, the system tells of a socket when there is more than what was seen
  (socket(7)): on TCP, not on Unix sockets. It also tells of one when no more will come,
  and when it is short of memory.
"""

from __future__ import annotations

from select import POLLRDHUP, poll
from socket import MSG_PEEK, SO_RCVLOWAT, SOL_SOCKET, socket
from typing import Any

from twisted.internet.main import CONNECTION_LOST

from regbroker.protocol.client_hello import MAX_HELLO_BYTES
from regbroker.transport.tls.sockets import SocketTLSProtocol

#: What is looked at, in bytes: one more than a ClientHello may have.
PEEK_BYTES = MAX_HELLO_BYTES + 1


class FirstBytes(SocketTLSProtocol):
    """A client's connection; `before_handshake` has the bytes, and they stay."""

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        #: How many bytes were seen.
        self._seen = 0
        self._is_plain = False

    def _begin(self) -> Exception | None:
        handle = self._tcp.getHandle()
        try:
            data = handle.recv(PEEK_BYTES, MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        more = data[self._seen :]
        if not more:
            return CONNECTION_LOST if _has_ended(handle) else None
        self._seen = len(data)
        if self._connection is None:
            self._make_secure()
        if self.before_handshake(more):
            if self._seen > len(more):
                handle.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 1)
            self._descriptor.doRead = super()._begin
            return super()._begin()
        if not self._is_plain:
            handle.setsockopt(SOL_SOCKET, SO_RCVLOWAT, self._seen + 1)
        return None

    def leave_to_transport(self) -> None:
        """Have Twisted's transport read from now on: this is no TLS."""
        self._is_plain = True
        self._descriptor.stop()
        self._tcp.startReading()

    def dataReceived(self, data: bytes) -> None:
        """Take what is no TLS."""
        self.before_handshake(data)


def _has_ended(handle: socket) -> bool:
    """Tell whether the peer sends no more."""
    asking = poll()
    asking.register(handle, POLLRDHUP)
    return bool(asking.poll(0))
