"""
TLS over Twisted's TCP transport, for large bodies in few steps.

It does what Twisted's own TLS layer does, on the same memory BIOs of pyOpenSSL, and
differs in how much is done at once:

- The socket is read in large pieces; all records at hand are delivered joined.
- What is written is encrypted as a whole, and given to the transport in one step.
  Small writes of one turn of the reactor become one record. What is written while bytes
  are delivered, by this connection or another one, is sent when they are.
- A producer is paused by `regbroker.transport.flow.backpressure`, not for each chunk.

Facts that shape this module (RFC 8446, 6.1; RFC 5246, 7.2.1):

- A stream has ended in order only when the peer's close_notify has come. Any other end
  is `ConnectionLost`, for somebody on the way may have caused it.
- close_notify is the last record that is sent. So all that was written comes before it.
- TLS 1.2 may ask for a new handshake at any time: until it is over, nothing can be
  encrypted. What is written then waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IHandshakeListener, ITransport
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.transport.flow.backpressure import READ_BYTES, Backpressure
from regbroker.transport.flow.direct_writes import send_now, socket_below
from regbroker.transport.flow.pending_writes import PendingWrites
from regbroker.transport.flow.wide_reads import WideReads
from regbroker.transport.tls.incoming import Incoming
from regbroker.transport.tls.negotiated import Negotiated
from regbroker.transport.tls.records import (
    RECORD_BYTES,
    drain,
    encrypt,
    is_end_of_file,
    records_at_once,
)


@implementer(ITransport)
class TLSProtocol(WideReads, Negotiated):
    """
    One connection: a protocol for the TCP transport, a transport for what it wraps.

    `factory` is a `regbroker.transport.tls.factory.TLSFactory`. The wrapped protocol is
    connected at once; what it writes before the handshake is over waits for that. An
    `IHandshakeListener` is told when it is over.
    """

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        #: What writes to the socket, if nothing below changes what is written.
        self._socket: Any = None
        self._flow = Backpressure(factory.budget)
        self._pending = PendingWrites(
            factory.call_later, self.flush, factory.deliveries
        )
        self._incoming = Incoming()
        #: Bytes in both directions.
        self._carried = 0
        self._is_ready = self._can_encrypt = self._is_over = False
        self._reason: Failure | None = None

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
        size = len(data)
        if size >= READ_BYTES or self._steady:
            self.has_read(size)
        self._carried += size
        connection, incoming = self._connection, self._incoming
        for piece in incoming.pieces(data, self._carried):
            connection.bio_write(piece)
            if self._is_ready or self._shake_hands():
                end = incoming.decrypt(connection, len(piece), plain)
            if self._is_over or end is not None:
                break
        if self._is_ready:
            self._deliver(plain, end)

    def before_handshake(self, data: bytes) -> bytes:
        """Return what OpenSSL gets of what comes before the handshake is over."""
        return data

    def _shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is over and good."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self._send(drain(self._connection))
            return False
        except SSL.Error as error:
            self._end(error)
            return False
        if self._is_over:
            # Who chooses the certificate has ended it.
            return False
        self._is_ready = self._can_encrypt = True
        self._incoming.secured(self._connection)
        if IHandshakeListener.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.handshakeCompleted()
        self.flush()
        return not self._is_over

    def _deliver(self, plain: list[bytes], end: SSL.Error | None) -> None:
        """Deliver plaintext, and do what the records asked of TLS itself."""
        has_data = bool(plain)
        if has_data and not self._is_over:
            whole = plain[0] if len(plain) == 1 else b"".join(plain)
            plain.clear()
            self.factory.deliveries.deliver(self.wrappedProtocol.dataReceived, whole)
        if self._is_over:
            return
        if self._is_ready and not self._can_encrypt:
            # The new handshake may be over.
            self._can_encrypt = True
            self.flush()
        if isinstance(end, SSL.ZeroReturnError):
            self.flush()
            self._shut_down()
            self._end(None)
        elif end is not None:
            self._end(end)
        elif self._pending.size and self._can_encrypt:
            self.flush()
        elif not (has_data and self.version == "TLSv1.3"):
            # What TLS 1.3 has to say beside data goes before the next data of ours
            # (RFC 8446, 4.6.3). To look for it in vain raises an exception each time.
            self._send(drain(self._connection))

    # From the wrapped protocol to the peer.

    def write(self, data: bytes) -> None:
        """Send bytes encrypted; after `loseConnection`, only what is produced."""
        self.writeSequence((data,))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send pieces one after the other, as `write` does."""
        if self._is_over or (self.disconnecting and self._flow.producer is None):
            return
        self._pending.add(data)
        if not self._can_encrypt:
            if self._pending.size > READ_BYTES:
                self._flow.pause()
        elif self._pending.size >= RECORD_BYTES:
            self.flush()
        else:
            self._pending.flush_soon()

    def flush(self) -> None:
        """Encrypt all that is pending, as far as TLS takes it, and send it."""
        size = self._pending.size
        if not size or not self._can_encrypt or self._is_over:
            return
        self._carried += size
        at_once = records_at_once(self._carried, size)
        pieces = self._pending.take()
        records, sent, problem = encrypt(self._connection, pieces, at_once)
        if isinstance(problem, SSL.WantReadError):
            self._can_encrypt = False
            self._pending.add((b"".join(pieces)[sent:],))
        self._send(records)
        if self._is_over or not self._can_encrypt:
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

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause and resume a producer, as much as fits into memory."""
        if self._is_over or not self.connected:
            producer.stopProducing()
            return
        self._flow.register(producer, streaming, self.unregisterProducer)
        self.transport.registerProducer(self._flow, True)
        self._flow.start()

    def unregisterProducer(self) -> None:
        """Forget the producer; end the connection if that is asked for."""
        if self._flow.producer is None:
            return
        self._flow.release()
        self.transport.unregisterProducer()
        if self.disconnecting and not self._is_over:
            self._finish()

    # The end.

    def loseConnection(self) -> None:
        """Send what is written, then close_notify; close when the peer's has come."""
        if self.disconnecting or not self.connected or self._is_over:
            return
        if not (self._is_ready or self._pending.size):
            # TLS has no end before it has begun.
            self.abortConnection()
            return
        self.disconnecting = True
        self._finish()

    def _finish(self) -> None:
        if self._pending.size:
            # This comes back here when all is encrypted.
            self.flush()
        elif self._flow.producer is None:
            self._shut_down()

    def abortConnection(self) -> None:
        """Close at once, without close_notify: what was sent may be incomplete."""
        self._is_over = True
        self.disconnecting = True
        self.transport.abortConnection()

    def failVerification(self, reason: Failure) -> None:
        """End a handshake over the peer's certificate, with a reason to tell."""
        self._reason = reason
        self.abortConnection()

    def _shut_down(self) -> None:
        """Send close_notify; close when the peer's is here already."""
        try:
            is_both = self._connection.shutdown()
        except SSL.Error:
            is_both = False
        self._send(drain(self._connection))
        if is_both and not self._is_over:
            self.transport.loseConnection()

    def _end(self, error: SSL.Error | None) -> None:
        """Speak TLS no more, and close; None leaves the reason to the transport."""
        if self._is_over:
            return
        if self._reason is None and error is not None:
            self._reason = Failure(CONNECTION_LOST if is_end_of_file(error) else error)
        self._is_over = True
        # A failed handshake has an alert to tell.
        self._send(drain(self._connection))
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the wrapped protocol, and whether the peer has ended in order."""
        self.connected = False
        try:
            if not self._is_over:
                self._connection.bio_shutdown()
                plain: list[bytes] = []
                end = self._incoming.decrypt(self._connection, 0, plain)
                self._deliver(plain, end)
        finally:
            self._is_over = True
            self._pending.close()
            self._flow.release()
            # They know this protocol: all would wait for the collector.
            self._connection = None
            super().connectionLost(self._reason or reason)
