"""
TLS over the socket itself: OpenSSL reads from it and writes to it.

Compared with `regbroker.transport.tls.memory`, each message saves four copies and a
dozen calls, and a connection the memory of two BIOs. Twisted's transport stays beside:
it knows the addresses, and closes the socket. The reactor asks this connection in its
place when the socket can be read or written.

Facts that shape this module:

- After a write that fails, OpenSSL reads no more (SSL_get_error(3)). A client that has
  reset its connection reads nothing, either. An upstream may have answered an upload
  before it did, so uploads are not sent in this way.
- OpenSSL reads the header of a record, then the rest: nothing stays with it that the
  reactor does not know of.
- A write that the socket did not take whole is to be repeated with the same bytes.
- While messages of TLS itself come, such as new keys, OpenSSL reads on: nobody else
  would get a turn while a client sends them. They are counted
  (`regbroker.transport.tls.protocol`).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from socket import SHUT_WR
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.flow.wrapping import lowest
from regbroker.transport.pyopenssl_private import receive, send
from regbroker.transport.tls.descriptor import Descriptor
from regbroker.transport.tls.protocol import TLSProtocol
from regbroker.transport.tls.records import whole_records

#: Records that are read at once at most. A full read has 80 of those that clients
#: written in Go begin with; whoever sends a byte in each has others wait no longer.
RECORDS_OF_A_READ = 128


class SocketTLSProtocol(TLSProtocol):
    """One connection, over a TCP transport whose bytes nobody changes on the way."""

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        #: What the socket did not take; OpenSSL may have begun with the first block.
        self._blocks: list[bytes | memoryview] = []
        #: Whether nothing was sent since something came: a body is on its way.
        self._is_receiving = False
        #: Whether OpenSSL has to write before it can read on.
        self._read_waits = False
        #: What is to be done at the end, and what was.
        self._half_closes = self._hangs_up = self._has_said_end = False

    def makeConnection(self, transport: ITransport) -> None:
        """Connect the wrapped protocol; a client begins the handshake."""
        self._tcp: Any = lowest(transport)
        self.read_from(transport)
        self._descriptor = Descriptor(self._tcp, self._begin, self._write)
        super().makeConnection(transport)
        if self.factory.is_client and not self._is_over:
            self._make_secure()
            self._shake_hands()

    def _make_secure(self) -> None:
        # It takes 17 KiB. Who connects and says nothing is not worth that.
        self._connection = self.factory.new_connection(self, self._tcp.getHandle())

    # From the peer to the wrapped protocol.

    def _begin(self) -> Exception | None:
        """Begin the handshake: the first bytes are here."""
        if self._connection is None:
            self._make_secure()
        self._shake_hands()
        return None

    def _handshake_waits(self, why: SSL.Error) -> None:
        if isinstance(why, SSL.WantWriteError):
            self._descriptor.start_writing()

    def _secured(self) -> None:
        super()._secured()
        self._descriptor.doRead = self._read

    def _read(self) -> None:
        """Read what is there, and deliver it; in several pieces where it is much."""
        self._steps = pieces = 0
        while True:
            size = self._tcp.bufferSize
            plain, end = receive(
                self._connection, size, RECORDS_OF_A_READ, self._is_receiving
            )
            if end is not None and isinstance(end, SSL.WantWriteError):
                end = None
                self._read_waits = True
                self._descriptor.start_writing()
            if self._steps and self._has_too_many_steps():
                return
            received = len(plain)
            if received >= READ_BYTES or self._steady:
                self.has_read(received)
            self._is_receiving = received > 0
            self._deliver(plain, end)
            if received < size or not self._descriptor.is_reading:
                return
            pieces += 1
            if pieces >= self.reads_at_once():
                return

    def pauseProducing(self) -> None:
        """Read nothing."""
        self._set(self._steady // 2)
        self._descriptor.stop_reading()

    def resumeProducing(self) -> None:
        """Read on."""
        if self.connected and not (self._is_over or self._hangs_up):
            self._descriptor.start_reading()
            if self._read_waits:
                self._descriptor.start_writing()

    def stopProducing(self) -> None:
        """Read no more: close."""
        self.hang_up()

    # From the wrapped protocol to the peer.

    def _write(self) -> None:
        """Go on with what the socket did not take."""
        if self._connection is None:
            # Meant for a connection that has ended in this turn of the reactor: this
            # one was accepted in the same turn, and its socket has got that number.
            return
        self._descriptor.stop_writing()
        if not self._is_ready:
            self._shake_hands()
            return
        self._can_send = True
        if self._blocks or self._pending.size:
            self.flush()
        elif self.disconnecting:
            self._finish()
        if self._read_waits and self._descriptor.is_reading:
            self._read_waits = False
            self._read()

    def _written_meanwhile(self, size: int) -> None:
        if self._blocks:
            self._flow.written(size)
        elif self._pending.size > READ_BYTES:
            self._flow.pause()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send pieces one after the other, and all of them now."""
        if self._can_send and not (
            self._pending.size or self.disconnecting or self._is_over
        ):
            # Nothing is before them, and nobody waits for the end.
            self._blocks += whole_records(tuple(data))
            self._send()
        else:
            super().writeSequence(data)

    def flush(self) -> None:
        """Encrypt all that is pending, and send it, as far as the socket takes it."""
        if not self._can_send or self._is_over:
            return
        if self._pending.size:
            self._blocks += whole_records(self._pending.take())
        if self._blocks:
            self._send()

    def _send(self) -> None:
        """Send the blocks, as far as the socket takes them."""
        blocks = self._blocks
        self._is_receiving = False
        try:
            while blocks:
                sent = send(self._connection, blocks[0])
                if sent == len(blocks[0]):
                    del blocks[0]
                else:
                    # One record, where the context is not one of `write_whole`.
                    blocks[0] = blocks[0][sent:]
        except SSL.WantWriteError:
            self._can_send = False
            self._descriptor.start_writing()
        except SSL.WantReadError:
            self._can_send = False
        except SSL.Error as error:
            self._end(error.with_traceback(None))
            return
        if blocks:
            if not self._flow.is_full:
                self._flow.pauseProducing()
                self._flow.written(sum(map(len, blocks)))
            return
        if self._flow.is_full or self._flow.is_paused:
            self._flow.resumeProducing()
        if self.disconnecting and not self._pending.size:
            self._finish()

    # The end.

    def loseWriteConnection(self) -> None:
        """Send what is written, then close_notify and the end of TCP; read on."""
        self._half_closes = True
        if self._has_said_end:
            self._half_close()
        else:
            self.loseConnection()

    def hang_up(self) -> None:
        """Close when all is sent, without waiting for the peer's close_notify."""
        self._hangs_up = self.disconnecting = True
        self._descriptor.stop_reading()
        if not (self._blocks or self._pending.size):
            self._close()

    def _finish(self) -> None:
        # Where blocks wait, this comes back here when the socket has taken them.
        if self._hangs_up and not self._pending.size:
            self._shut_down()
        else:
            super()._finish()

    def _shut_down(self) -> None:
        if self._blocks:
            # It is said when they are sent.
            return
        try:
            is_both = self._connection.shutdown()
        except SSL.WantWriteError:
            self._can_send = False
            self._descriptor.start_writing()
            return
        except SSL.Error:
            is_both = False
        self._has_said_end = True
        if is_both or self._hangs_up:
            self._close()
        elif self._half_closes:
            self._half_close()
        else:
            self._await_end()

    def _end(self, error: SSL.Error | None) -> None:
        if error is None and self._blocks:
            # The peer has ended in order, and may still read.
            self.hang_up()
        else:
            super()._end(error)

    def _half_close(self) -> None:
        # That the socket has gone, the reactor finds out.
        with suppress(OSError):
            self._tcp.getHandle().shutdown(SHUT_WR)

    def abortConnection(self) -> None:
        """Close at once, without close_notify: what was sent may be incomplete."""
        self._descriptor.stop()
        super().abortConnection()

    def _close(self) -> None:
        self._is_over = True
        self._descriptor.stop()
        # Not within what has led here, as Twisted does it.
        self.factory.call_later(0, self._tcp.connectionLost, connectionDone)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the wrapped protocol, and whether the peer has ended in order."""
        self._descriptor.stop()
        self._descriptor.doRead = self._descriptor.doWrite = _nothing
        self._blocks.clear()
        super().connectionLost(reason)

    def _cut_off(self) -> None:
        # The peer's close_notify was not read: nobody knows whether there is one.
        self._reason = self._reason or Failure(ConnectionLost())


def _nothing() -> None:
    """Stand for a method of a connection that has gone."""
