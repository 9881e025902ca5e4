"""
Listening sockets that several processes accept from.

One process opens them, and keeps them. The others are given their descriptors: the
kernel hands each connection to one of those that wait for it. Each of them takes one,
and looks at what else it has to do before it takes the next.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from regbroker.transport.twisted_private.sockets import adopt_port, keep_for_others


def leave_to_others(port: Any) -> None:
    """
    Accept nothing from a port that was opened this moment.

    To close it does not keep other processes from accepting.
    """
    port.stopReading()
    keep_for_others(port)


@implementer(IStreamServerEndpoint)
class AdoptedEndpoint:
    """Listens on a socket that another process has opened; `descriptor` stays open."""

    def __init__(self, reactor: Any, descriptor: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; fails with `OSError` for what is no socket."""
        return maybeDeferred(self._listen, factory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        opened = socket.socket(fileno=self._descriptor)
        try:
            # One that waits in accept() would keep everybody waiting.
            opened.setblocking(False)
            return adopt_port(self._reactor, opened, factory)
        finally:
            opened.detach()
