"""
TLS on one connection: what is the same however its records go to the socket.

Two classes know that way: `regbroker.transport.tls.memory` puts records into the
memory of Twisted's TCP transport, and `regbroker.transport.tls.sockets` has OpenSSL
read from the socket and write to it.

Both do what Twisted's own TLS layer does, and differ from it in how much is done at
once:

- The socket is read in large pieces; all records at hand are delivered joined.
- What is written is encrypted as a whole, and sent in one step. What is written as a
  sequence is gathered already, and sent at once, as
  `regbroker.transport.flow.plain_protocol` does it. Other small writes of one turn of
  the reactor become one record. Those that are made while bytes are delivered, by this
  connection or another one, are sent when they are.
- A producer is paused by `regbroker.transport.flow.backpressure`, not for each chunk.

Facts that shape this module (RFC 8446, 6.1; RFC 5246, 7.2.1):

- A stream has ended in order only when the peer's close_notify has come. Any other end
  is `ConnectionLost`, for somebody on the way may have caused it.
- close_notify is the last record that is sent. So all that was written comes before it.
- An error that is raised where somebody awaits it keeps the frames of that. So each
  end has an error of its own: Twisted's CONNECTION_LOST is one object for all, and
  would keep more with each connection.
- TLS 1.2 may ask for a new handshake at any time: until it is over, nothing can be
  encrypted. What is written then waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.transport.flow.backpressure import Backpressure
from regbroker.transport.flow.wide_reads import WideReads
from regbroker.transport.pyopenssl_private import RECORD_BYTES
from regbroker.transport.tls.peer_end import PeerEnd, is_end_of_file
from regbroker.transport.tls.pending_writes import PendingWrites

#: Steps of TLS itself, beside data, that one read may take. New keys are four, a new
#: handshake twenty. Whoever sends them without end has others wait.
MOST_STEPS = 256


class TooManySteps(SSL.Error):
    """A peer sends messages of TLS itself without end."""

    def __init__(self) -> None:
        # As OpenSSL's errors are: a library, a function, and a reason.
        super().__init__([("regbroker", "", "too many messages of TLS itself")])


@implementer(ITransport)
class TLSProtocol(WideReads, PeerEnd):
    """
    One connection: a protocol for the TCP transport, a transport for what it wraps.

    `factory` is a `regbroker.transport.tls.factory.TLSFactory`. The wrapped protocol is
    connected at once; what it writes before the handshake is over waits for that. An
    `IHandshakeListener` is told when it is over.
    """

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        self._flow = Backpressure(factory.budget)
        self._pending = PendingWrites(
            factory.call_later, self.flush, factory.deliveries
        )
        #: `_can_send` is whether what is written goes on at once.
        self._is_ready = self._can_send = self._is_over = False
        self._reason: Failure | None = None
        #: Steps of TLS itself since the last read began.
        self._steps = 0

    # From the peer to the wrapped protocol.

    def before_handshake(self, data: bytes) -> bytes:
        """
        Return what OpenSSL gets of what comes before the handshake is over.

        Where this returns nothing, more has to come first, or this is no TLS, see
        `leave_to_transport`.
        """
        return data

    def leave_to_transport(self) -> None:
        """Give up TLS before it begins: the transport goes to who calls this."""

    def _shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is over and good."""
        try:
            self._connection.do_handshake()
        except (SSL.WantReadError, SSL.WantWriteError) as error:
            self._handshake_waits(error)
            return False
        except SSL.Error as error:
            self._end(error)
            return False
        if self._is_over:
            # Who chooses the certificate has ended it.
            return False
        self._is_ready = self._can_send = True
        self._secured()
        if IHandshakeListener.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.handshakeCompleted()
        self.flush()
        return not self._is_over

    def _handshake_waits(self, why: SSL.Error) -> None:
        """Do what the handshake needs to go on."""
        raise NotImplementedError

    def _secured(self) -> None:
        """Note that the handshake is over."""
        self.version = str(self._connection.get_protocol_version_name())
        self._connection.set_info_callback(_count_step)

    def count_step(self) -> None:
        """Count a step of TLS itself; with too many, have OpenSSL read no more."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            self._connection.set_shutdown(SSL.RECEIVED_SHUTDOWN)

    def _has_too_many_steps(self) -> bool:
        """Break off a connection whose last read took too many steps; tell whether."""
        if self._steps <= MOST_STEPS:
            return False
        self._reason = Failure(TooManySteps())
        self.abortConnection()
        return True

    def _deliver(self, plain: bytes, end: SSL.Error | None) -> None:
        """Deliver plaintext, and do what the records asked of TLS itself."""
        if plain and not self._is_over:
            self.factory.deliveries.deliver(plain, self.wrappedProtocol)
        if self._is_over:
            return
        if self._is_ready and not self._can_send:
            # The new handshake may be over.
            self._can_send = True
            self.flush()
        if end is None:
            if self._pending.size and self._can_send:
                self.flush()
            elif not (plain and self.version == "TLSv1.3"):
                # What TLS 1.3 has to say beside data goes before the next data of ours
                # (RFC 8446, 4.6.3). To look for it in vain is work for each message.
                self._send_own()
        elif isinstance(end, SSL.ZeroReturnError):
            self.flush()
            self._shut_down()
            self._end(None)
        else:
            self._end(end)

    def _send_own(self) -> None:
        """Send what TLS itself has to say."""

    # From the wrapped protocol to the peer.

    def write(self, data: bytes) -> None:
        """
        Send bytes encrypted, with what else is written in this turn of the reactor.

        After `loseConnection`, only what is produced is sent.
        """
        if not self._takes((data,)):
            return
        if self._pending.size >= RECORD_BYTES:
            self.flush()
        else:
            self._pending.flush_soon()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send pieces one after the other, as `write` does, and all of them now."""
        if self._takes(data):
            self.flush()

    def _takes(self, data: Iterable[bytes]) -> bool:
        """Add to what is pending; return whether that can be sent."""
        if self._is_over or (self.disconnecting and self._flow.producer is None):
            return False
        before = self._pending.size
        self._pending.add(data)
        if not self._can_send:
            self._written_meanwhile(self._pending.size - before)
        return self._can_send

    def _written_meanwhile(self, size: int) -> None:
        """Note that so many bytes wait on top, while nothing can be sent."""
        raise NotImplementedError

    def flush(self) -> None:
        """Encrypt all that is pending, as far as TLS takes it, and send it."""
        raise NotImplementedError

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

    def loseWriteConnection(self) -> None:
        """Send what is written, then close_notify and the end of TCP; read on."""
        raise NotImplementedError

    def hang_up(self) -> None:
        """Close when all is sent, without waiting for the peer's close_notify."""
        raise NotImplementedError

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
        raise NotImplementedError

    def _end(self, error: SSL.Error | None) -> None:
        """Speak TLS no more, and close; None leaves the reason to the transport."""
        if self._is_over:
            return
        if self._reason is None and error is not None:
            self._reason = Failure(ConnectionLost() if is_end_of_file(error) else error)
        self._is_over = True
        self._close()

    def failure(self) -> SSL.Error | None:
        """
        Return why TLS itself has ended this: a failed handshake, or too many steps.

        None for any other end, such as that of the peer.
        """
        error = self._reason.value if self._reason is not None else None
        is_failure = isinstance(error, TooManySteps) or not self.version
        return error if isinstance(error, SSL.Error) and is_failure else None

    def _close(self) -> None:
        """Close the transport, when what TLS has said before its end is sent."""
        raise NotImplementedError

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the wrapped protocol, and whether the peer has ended in order."""
        self.connected = False
        try:
            if not self._is_over:
                self._cut_off()
        finally:
            self._is_over = True
            self._pending.close()
            self._flow.release()
            # They know this protocol: all would wait for the collector.
            self._connection = None
            super().connectionLost(self._reason or reason)

    def _cut_off(self) -> None:
        """Find out how a stream has ended whose transport has gone."""
        raise NotImplementedError


def _count_step(connection: SSL.Connection, where: int, code: int) -> None:
    protocol: TLSProtocol = connection.get_app_data()
    protocol.count_step()
