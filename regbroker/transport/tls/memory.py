"""
TLS through memory: over whatever transport, with two memory BIOs of OpenSSL.

OpenSSL is given what Twisted has read, and what it makes is given to Twisted's
transport. So the transport may be wrapped, and what goes wrong with the socket does not
reach OpenSSL: what an upstream has answered can be read after a write has failed.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import ITransport

from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.flow.direct_writes import half_close, send_now, socket_below
from regbroker.transport.pyopenssl_private import receive
from regbroker.transport.tls.memory_bios import (
    drain,
    encrypt,
    fit_for_bio,
    records_at_once,
)
from regbroker.transport.tls.protocol import TLSProtocol


class MemoryTLSProtocol(TLSProtocol):
    """One connection, over any transport."""

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        #: What writes to the socket, if nothing below changes what is written.
        self._socket: Any = None
        #: Bytes in both directions.
        self._carried = 0

    def makeConnection(self, transport: ITransport) -> None:
        """Connect the wrapped protocol; a client begins the handshake."""
        self._connection = self.factory.new_connection(self)
        self.read_from(transport)
        self._socket = socket_below(transport)
        super().makeConnection(transport)
        if self.factory.is_client and not self._is_over:
            self._shake_hands()

    # From the peer to the wrapped protocol.

    def dataReceived(self, data: bytes) -> None:
        """Decrypt, and deliver what it makes in one piece."""
        if self._is_over:
            return
        if not self._is_ready:
            data = self.before_handshake(data)
            if not data:
                return
        plain: list[bytes] = []
        end: SSL.Error | None = None
        size, self._steps = len(data), 0
        if size >= READ_BYTES or self._steady:
            self.has_read(size)
        self._carried += size
        connection = self._connection
        for piece in fit_for_bio(data, records_at_once(self._carried, size)):
            connection.bio_write(piece)
            if self._is_ready or self._shake_hands():
                some, end = receive(connection)
                plain.append(some)
            if self._is_over or end is not None:
                break
        if self._is_ready and not self._has_too_many_steps():
            whole = plain[0] if len(plain) == 1 else b"".join(plain)
            plain.clear()
            self._deliver(whole, end)

    def _handshake_waits(self, why: SSL.Error) -> None:
        self._send(drain(self._connection))

    def _send_own(self) -> None:
        self._send(drain(self._connection))

    # From the wrapped protocol to the peer.

    def _written_meanwhile(self, size: int) -> None:
        if self._pending.size > READ_BYTES:
            self._flow.pause()

    def flush(self) -> None:
        """Encrypt all that is pending, as far as TLS takes it, and send it."""
        size = self._pending.size
        if not size or not self._can_send or self._is_over:
            return
        self._carried += size
        at_once = records_at_once(self._carried, size)
        pieces = self._pending.take()
        records, sent, problem = encrypt(self._connection, pieces, at_once)
        if isinstance(problem, SSL.WantReadError):
            self._can_send = False
            self._pending.add((b"".join(pieces)[sent:],))
        self._send(records)
        if self._is_over or not self._can_send:
            return
        if problem is not None:
            self._end(problem)
            return
        if self._flow.is_paused:
            self._flow.resume()
        if self.disconnecting and not self._pending.size:
            self._finish()

    def _send(self, records: list[bytes]) -> None:
        if not records:
            return
        if self._socket is not None:
            send_now(self._socket, records)
        else:
            self.transport.writeSequence(records)
        if self._flow.is_full:
            self._flow.written(sum(map(len, records)))

    # The end.

    def loseWriteConnection(self) -> None:
        """Send what is written, then close_notify and the end of TCP; read on."""
        self.loseConnection()
        half_close(self.transport)

    def hang_up(self) -> None:
        """Close when all is sent, without waiting for the peer's close_notify."""
        self.transport.loseConnection()

    def _shut_down(self) -> None:
        try:
            is_both = self._connection.shutdown()
        except SSL.Error:
            is_both = False
        self._send(drain(self._connection))
        if self._is_over:
            return
        if is_both:
            self.transport.loseConnection()
        else:
            self._await_end()

    def _close(self) -> None:
        # A failed handshake has an alert to tell.
        self._send(drain(self._connection))
        self.transport.loseConnection()

    def _cut_off(self) -> None:
        self._connection.bio_shutdown()
        self._deliver(*receive(self._connection))
