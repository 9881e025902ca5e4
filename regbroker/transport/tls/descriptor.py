"""What the reactor asks in the place of a transport when there is something to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IReadDescriptor, IWriteDescriptor)
class Descriptor:
    """
    Stands in the reactor in the place of a TCP transport, which no longer reads.

    `doRead` and `doWrite` are called when the socket can be read and takes more. They
    return None, or why the connection is lost. The transport closes the socket.
    """

    __slots__ = (
        "_is_writing",
        "_reactor",
        "_tcp",
        "doRead",
        "doWrite",
        "fileno",
        "is_reading",
    )

    def __init__(
        self, tcp: Any, read: Callable[[], Any], write: Callable[[], Any]
    ) -> None:
        self._tcp = tcp
        self._reactor = tcp.reactor
        self.fileno: Callable[[], int] = tcp.fileno
        self.doRead = read
        self.doWrite = write
        self.is_reading = self._is_writing = False
        tcp.stopReading()
        self.start_reading()

    def start_reading(self) -> None:
        """Be told when the socket can be read."""
        self.is_reading = True
        self._reactor.addReader(self)

    def stop_reading(self) -> None:
        """Be told no more."""
        self.is_reading = False
        self._reactor.removeReader(self)

    def start_writing(self) -> None:
        """Be told when the socket takes more."""
        self._is_writing = True
        self._reactor.addWriter(self)

    def stop_writing(self) -> None:
        """Be told no more."""
        self._is_writing = False
        self._reactor.removeWriter(self)

    def stop(self) -> None:
        """Be told nothing more."""
        # A reactor looks long for what it does not know, and has no socket any more.
        if self.is_reading:
            self.stop_reading()
        if self._is_writing:
            self.stop_writing()

    # What the reactor asks for.

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket; the transport tells its protocol."""
        self.is_reading = self._is_writing = False
        self._tcp.connectionLost(reason)

    def logPrefix(self) -> str:
        """Return what Twisted's log calls it."""
        return "TLS"
