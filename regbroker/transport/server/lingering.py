"""
The end of a connection to a client: sent at once, and closed when it is safe.

RFC 9112, 9.6: closing a connection on which unread bytes arrive makes the kernel
reset it, and the client may lose the reply that it was about to read. So the end of
the stream goes out with the last reply (in TLS ``close_notify``, then FIN), what the
client still sends is read and thrown away for a while, and then the connection is
closed.

Clients written in Go send a body while they wait for the reply, and take a write that
fails for the answer. Some MiB are on their way before a refusal of an upload has
arrived, so a client that sends much is not read any more, and is not reset either: its
writes wait, and it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from regbroker.transport.flow.direct_writes import half_close
from regbroker.transport.flow.wrapping import lowest
from regbroker.transport.tls.protocol import TLSProtocol
from regbroker.transport.twisted_private.sockets import end_in_order

#: What is read and thrown away after the end; no more is read then.
MAX_LINGER_BYTES = 1024 * 1024

#: A client that has read the end closes its own side in a round trip or two.
LINGER_SECONDS = 5.0

#: The last reply may still wait for a slow client to take it.
CLOSE_SECONDS = 60.0


class LingeringClose:
    """
    The end of one connection, which begins as soon as this is made.

    `transport` is the connection's; `call_later` is the reactor's. The client has so
    many seconds to close its own side.
    """

    def __init__(
        self,
        transport: Any,
        call_later: Callable[..., IDelayedCall],
        seconds: float = LINGER_SECONDS,
    ) -> None:
        self._transport = transport
        self._call_later = call_later
        self._received = 0
        # What had been paused is read now: the client's own end is in it.
        transport.resumeProducing()
        if isinstance(transport, TLSProtocol):
            transport.loseWriteConnection()
        else:
            half_close(transport)
        self._timer: IDelayedCall | None = call_later(seconds, self._close)

    def received(self, size: int) -> None:
        """Note that so many bytes came after the end."""
        self._received += size
        if self._received > MAX_LINGER_BYTES:
            self._transport.pauseProducing()

    def stop(self) -> None:
        """Forget the timers: the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._timer = self._call_later(CLOSE_SECONDS, self._abort)
        # What is written already is still sent.
        if isinstance(self._transport, TLSProtocol):
            self._transport.hang_up()
        else:
            self._transport.loseConnection()

    def _abort(self) -> None:
        self._timer = None
        self._transport.abortConnection()


def break_off(transport: Any, *, resets: bool = True) -> None:
    """
    Break a connection, without its end in order; what the socket takes is sent first.

    A client that has seen the beginning of a reply knows more than one that has not.
    Unless it `resets` the connection, TCP ends as after a whole reply, and TLS without
    ``close_notify``.
    """
    if isinstance(transport, TLSProtocol):
        transport.flush()
    socket = lowest(transport)
    if hasattr(socket, "doWrite") and not transport.disconnecting:
        socket.doWrite()
        if not resets:
            end_in_order(socket)
    transport.abortConnection()
