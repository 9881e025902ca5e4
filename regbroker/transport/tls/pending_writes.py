"""
What was written to a connection and is not encrypted yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IProtocol


class Deliveries:
    """
    The bytes that connections deliver now, one inside the other.

    What is written meanwhile, to whatever connection, is mostly all that is written in
    this turn of the reactor: the request that is relayed, or the reply.
    """

    def __init__(self) -> None:
        #: How many are under way now.
        self.depth = 0
        self._after: list[Callable[[], object]] = []

    def deliver(self, data: bytes, protocol: IProtocol) -> None:
        """Give data to a protocol; then do what was put off."""
        self.depth += 1
        try:
            protocol.dataReceived(data)
        finally:
            self.depth -= 1
            while self._after and not self.depth:
                self._after.pop(0)()

    def then(self, act: Callable[[], object]) -> None:
        """Put something off to the end of what is delivered now."""
        self._after.append(act)


class PendingWrites:
    """
    Gathers what is written in one turn of the reactor; `size` is in bytes.

    `flush` is called at the end of a turn that `flush_soon` was called in, or of the
    `deliveries` that it was called in. `call_later` is the reactor's.
    """

    def __init__(
        self,
        call_later: Callable[..., IDelayedCall],
        flush: Callable[[], object],
        deliveries: Deliveries,
    ) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._call_later = call_later
        self._flush = flush
        self._deliveries = deliveries
        self._is_due = False
        self._timer: IDelayedCall | None = None

    def add(self, data: Iterable[bytes]) -> None:
        """Add pieces at the end. Raises `TypeError` for what is no bytes."""
        for each in data:
            # What can change is copied.
            piece = each if type(each) is bytes else memoryview(each).tobytes()
            if piece:
                self._pieces.append(piece)
                self.size += len(piece)

    def take(self) -> list[bytes]:
        """Return all pieces; then nothing is left."""
        pieces, self._pieces, self.size = self._pieces, [], 0
        return pieces

    def flush_soon(self) -> None:
        """Call `flush` when what is delivered is, or when the reactor comes round."""
        if self._is_due or not self.size:
            return
        self._is_due = True
        if self._deliveries.depth:
            self._deliveries.then(self._flush_now)
        else:
            self._timer = self._call_later(0, self._flush_now)

    def close(self) -> None:
        """Throw away what is here, and do not flush."""
        self._pieces.clear()
        self.size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush_now(self) -> None:
        self._timer = None
        self._is_due = False
        if self.size:
            self._flush()
