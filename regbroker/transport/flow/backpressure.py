"""
When a connection's producer stops, and when it goes on: one watermark, one budget.

Twisted's TCP transport says "full" when it holds more than `bufferSize` bytes, and
"empty" when it holds none. A producer that stops at each "full" stops for each chunk
of a large body, and each stop costs two system calls. So a full connection may be given
a chunk more. All connections share what they may be given: when many clients do not
read, each of them holds one chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from regbroker.transport.flow.pull_producers import Pulled

#: What is read from a socket at once to begin with, and what makes a transport full; in
#: bytes. Blocks of 128 KiB and more are mapped by malloc, at first each of them.
#: `regbroker.transport.flow.wide_reads` says when more is read.
READ_BYTES = 112 * 1024

#: What one connection may be given from the write on that fills its transport, in
#: bytes: two chunks.
MOST_WHEN_FULL = 224 * 1024

#: The same, of all connections together: enough for four streams with fast peers. Of
#: slow peers, each chunk takes so long that a pause for each costs nothing beside it.
SHARED_BYTES = 1024 * 1024


class Budget:
    """Bytes that connections share; `used` of `limit` are taken."""

    def __init__(self, limit: int = SHARED_BYTES) -> None:
        self.limit = limit
        self.used = 0

    @property
    def is_used_up(self) -> bool:
        """Whether no byte is left."""
        return self.used >= self.limit


#: What all connections of the process share.
SHARED = Budget()


@implementer(IPushProducer)
class Backpressure:
    """
    Stands between a transport and the producer that writes to it.

    The transport sees one push producer. The real one, `producer`, is paused when
    the transport was given `most` bytes from the write on that filled it, or is full
    when `budget` is used up. It goes on when the transport is empty.
    """

    def __init__(self, budget: Budget, most: int = MOST_WHEN_FULL) -> None:
        self.producer: IPushProducer | None = None
        self.is_paused = False
        #: Whether the transport is; to one that is not, any number may be `written`.
        self.is_full = False
        self._budget = budget
        self._most = most
        self._given = 0

    def register(
        self, producer: Any, streaming: bool, give_up: Callable[[], object]
    ) -> None:
        """
        Take a producer; one that does not push is pulled from `start` on.

        `give_up` is called when a pulled one raises.
        """
        if self.producer is not None:
            raise RuntimeError(f"{producer!r} cannot write beside {self.producer!r}")
        self.producer = producer if streaming else Pulled(producer, give_up)

    def start(self) -> None:
        """Let the producer begin."""
        if isinstance(self.producer, Pulled):
            self.producer.start()

    def release(self) -> None:
        """Forget the producer, and what the transport holds."""
        if isinstance(self.producer, Pulled):
            self.producer.stop()
        self.producer = None
        self.is_paused = False
        self._emptied()

    def written(self, size: int) -> None:
        """Note that the transport was given so many bytes."""
        if self.is_full:
            self._given += size
            self._budget.used += size
            if self._given >= self._most or self._budget.is_used_up:
                self.pause()

    def pause(self) -> None:
        """Let the producer write no more."""
        if self.producer is not None and not self.is_paused:
            self.is_paused = True
            self.producer.pauseProducing()

    def resume(self) -> None:
        """Let the producer write, unless the transport is full."""
        if self.producer is not None and self.is_paused and not self.is_full:
            self.is_paused = False
            self.producer.resumeProducing()

    # What the transport says.

    def pauseProducing(self) -> None:
        """Note that the transport is full."""
        self.is_full = True

    def resumeProducing(self) -> None:
        """Note that the transport is empty."""
        self._emptied()
        self.resume()

    def stopProducing(self) -> None:
        """Stop the producer: the transport is gone."""
        self._emptied()
        if self.producer is not None:
            self.producer.stopProducing()

    def _emptied(self) -> None:
        self._budget.used -= self._given
        self._given = 0
        self.is_full = False
