"""The body of a request that is in memory, and so can be sent a second time."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer


@implementer(IBodyProducer)
class BytesBody:
    """Bytes that are written at once, each time that a request is sent."""

    def __init__(self, body: bytes) -> None:
        self.data = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write all bytes."""
        consumer.write(self.data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Do nothing: all bytes have been written."""

    def resumeProducing(self) -> None:
        """Do nothing: all bytes have been written."""

    def stopProducing(self) -> None:
        """Do nothing: all bytes have been written."""
