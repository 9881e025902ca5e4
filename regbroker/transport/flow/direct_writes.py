"""
Writing to a socket in the same turn of the reactor.

Twisted's transport waits for another turn before it writes, with two changes of what
epoll waits for. That is worth it where writes gather. Here they are gathered already.

The pieces of a large write are given to the socket as they are: to join them would copy
all of it once more.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from twisted.internet.abstract import FileDescriptor

from regbroker.transport.flow.wrapping import Wrapper, lowest
from regbroker.transport.twisted_private.sockets import may_write_now

#: What is given to a socket in one call. The system takes 1024 pieces (IOV_MAX).
MOST_PIECES = 1024

#: A socket with one of these errors takes nothing now, and is sound.
_FULL = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS)


def socket_below(transport: Any) -> FileDescriptor | None:
    """
    Return the transport that has the socket, below wrappers that only pass bytes on.

    It is None where something in between, another TLS for example, changes what is
    written, and where there is no socket.
    """
    while isinstance(transport, Wrapper):
        if type(transport).writeSequence is not Wrapper.writeSequence:
            return None
        transport = transport.transport
    return transport if isinstance(transport, FileDescriptor) else None


def send_now(transport: Any, data: Sequence[bytes]) -> bool:
    """
    Give pieces to a socket, as far as it takes them; the transport has the rest.

    Tells whether the socket is sound. The system tells an error once: after it, a peer
    that has reset the connection looks to a read as one that has ended it.
    """
    is_sound = True
    if may_write_now(transport):
        try:
            sent = transport.getHandle().sendmsg(data[:MOST_PIECES])
        except OSError as error:
            # Writing fails again when the reactor does it, which knows what to do.
            sent, is_sound = 0, error.errno in _FULL
        data = _unsent(data, sent)
    if data:
        transport.writeSequence(data)
    return is_sound


def half_close(transport: Any) -> None:
    """Send what the socket takes now, and its end when all is sent; read on."""
    below = lowest(transport)
    if hasattr(below, "loseWriteConnection"):
        if not below.disconnecting:
            # Now: the other side's own end, if it is here already, is read next, and
            # Twisted drops then what is not written.
            below.doWrite()
        below.loseWriteConnection()


def _unsent(data: Sequence[bytes], sent: int) -> Sequence[bytes]:
    for index, piece in enumerate(data):
        if sent < len(piece):
            return [piece[sent:], *data[index + 1 :]]
        sent -= len(piece)
    return ()
