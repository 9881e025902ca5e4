"""
What a peer has sent before it resets a connection, while bytes for it wait.

A server may refuse an upload and close its connection at once: its answer has arrived
then, and what is written fails. Twisted's reactor reads before it writes, but only what
it knew of when its round began; where writing fails it ends the connection unread.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from regbroker.transport.flow.wrapping import lowest

#: How often is read at most: ten times `READ_BYTES` is more than an early reply may
#: have (`regbroker.transport.client.protocol`).
MOST_READS = 10


def read_before_loss(transport: Any) -> None:
    """
    Have a transport deliver what has come before it tells that its connection is lost.

    `transport` has the socket, or wraps one that has; others stay as they are.
    """
    transport = lowest(transport)
    if not hasattr(transport, "doRead"):
        return
    lose = transport.connectionLost

    def read_and_lose(reason: Failure) -> None:
        # A transport that knows itself would wait for the collector. It is told twice
        # where it is aborted and then lost.
        vars(transport).pop("connectionLost", None)
        try:
            # Not for the subclass that says that we have broken it off.
            if type(reason.value) is ConnectionLost:
                _read_all(transport)
        finally:
            lose(reason)

    transport.connectionLost = read_and_lose


def _read_all(transport: Any) -> None:
    """Read to the end, or until nobody wants more."""
    for _ in range(MOST_READS):
        if transport.disconnecting or transport.doRead() is not None:
            return
