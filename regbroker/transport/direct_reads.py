"""
Reading sockets into one piece of memory that all connections share.

Twisted's transport has new memory for each read, which the processor has not at hand.
Here it is the same memory each time. Who takes what is in it must be done with it
before the next read: TLS is, since it decrypts at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.tcp import Connection
from twisted.protocols.policies import ProtocolWrapper

from regbroker.transport.backpressure import READ_BYTES

_SHARED = memoryview(bytearray(READ_BYTES))


def read_directly(transport: Any, take: Callable[[memoryview], object]) -> None:
    """
    Give what a connection reads from now on to `take`, in shared memory.

    This is so for TCP below wrappers that only pass on what is read; elsewhere all
    stays as it is.
    """
    below = _readable_below(transport)
    if below is None:
        return
    receive = below.getHandle().recv_into

    def read() -> Exception | None:
        try:
            size = receive(_SHARED)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if not size:
            return CONNECTION_DONE
        take(_SHARED[:size])
        return None

    # Of this one object. Where Twisted sets it anew, to abort the connection, it is
    # Twisted's again.
    below.doRead = read


def read_no_more(transport: Any) -> None:
    """Let go of who takes what is read: the connection is gone."""
    below = _readable_below(transport)
    if below is not None:
        vars(below).pop("doRead", None)


def _readable_below(transport: Any) -> Any:
    """Return the TCP transport below wrappers that do not look at what is read."""
    while isinstance(transport, ProtocolWrapper):
        if type(transport).dataReceived is not ProtocolWrapper.dataReceived:
            return None
        transport = transport.transport
    is_tcp = getattr(type(transport), "doRead", None) is Connection.doRead
    return transport if is_tcp else None
