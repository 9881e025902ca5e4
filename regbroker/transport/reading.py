"""Whether a client is read from."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class Reading:
    """
    Pauses and resumes a transport; to resume one that is not paused costs nothing.

    Twisted's channel resumes it after each request, and that asks the reactor.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.is_paused = False

    def pauseProducing(self) -> None:
        """Read nothing."""
        self.is_paused = True
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        if self.is_paused:
            self.is_paused = False
            self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """Read nothing ever again."""
        self._transport.stopProducing()

    def unregisterProducer(self) -> None:
        """Hear no more of whether the client reads."""
        self._transport.unregisterProducer()
