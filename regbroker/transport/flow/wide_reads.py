"""
How much is read from a socket at once: more, where more is there all the time.

To read, to deliver and to write on costs about as much for a small piece as for a large
one. So large bodies go in larger pieces, as long as both sides keep up. Where the other
side does not, what is read has to be held.

Where OpenSSL reads from the socket, a steady connection also reads several pieces in
one turn of the reactor: the turn itself costs as much as what is done with a piece. Who
else has to be answered in this turn waits for them. So all such connections share them.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.flow.wrapping import Wrapper, lowest

#: What is read at once from a steady connection, in bytes. Twice as much would save
#: little more: with its copies, it does not fit into a core's own cache. What malloc
#: keeps for it, `regbroker.runtime.kept_memory` says.
WIDE_BYTES = 2 * READ_BYTES

#: What has come in full reads when a connection is steady. Each pause halves it, for
#: what was read has to be held then; each read that is not full takes an eighth. Linux
#: takes 4 MiB for a peer that reads nothing yet (tcp_wmem).
STEADY_BYTES = 8 * 1024 * 1024

#: What is remembered of it at most: after a large body, a dozen small messages make a
#: connection one that carries little.
MOST_STEADY_BYTES = 4 * STEADY_BYTES

#: Wide reads in one turn of the reactor, of all steady connections together: one takes
#: a third of a millisecond. Eight would save no more, and have others wait for longer.
READS_OF_A_TURN = 4

#: Whose last full read was longer ago, in seconds, has no share of them. Nobody tells
#: when a body is over, and its connection may stay open.
LATELY_SECONDS = 0.1


class Turns:
    """What the connections that carry much may read in one turn of the reactor."""

    def __init__(self) -> None:
        self._began = 0.0
        #: Who has asked since then, and how many had in the time before.
        self._seen: set[int] = set()
        self._before = 0

    def share(self, who: object, now: float) -> int:
        """Return how many reads `who` has at `now`, in seconds, and count it."""
        if now - self._began >= LATELY_SECONDS:
            self._began, self._before = now, len(self._seen)
            self._seen.clear()
        self._seen.add(id(who))
        return max(1, READS_OF_A_TURN // max(self._before, len(self._seen)))


#: Those of the process.
TURNS = Turns()


class WideReads(Wrapper):
    """A connection that says what each read has brought, and is read accordingly."""

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        #: The TCP transport below.
        self._read_from: Any = None
        #: What counts towards `STEADY_BYTES`. While it is 0, reads of less than
        #: `READ_BYTES` change nothing.
        self._steady = 0

    def read_from(self, transport: Any) -> None:
        """Begin with `READ_BYTES`, which is also what makes the transport full."""
        below = lowest(transport)
        if hasattr(below, "bufferSize"):
            self._read_from = below
            below.bufferSize = READ_BYTES

    def has_read(self, size: int) -> None:
        """Note how many bytes came at once."""
        if size >= READ_BYTES:
            self._set(min(self._steady + size, MOST_STEADY_BYTES))
        elif self._steady:
            self._set(self._steady - self._steady // 8 - 1)

    def pauseProducing(self) -> None:
        """Read nothing: what was read is not taken as fast as it came."""
        self._set(self._steady // 2)
        super().pauseProducing()

    def reads_at_once(self) -> int:
        """Return how many pieces are read in this turn of the reactor, at most."""
        return TURNS.share(self, monotonic()) if self._steady >= STEADY_BYTES else 1

    def _set(self, steady: int) -> None:
        self._steady = steady
        if self._read_from is not None:
            is_steady = steady >= STEADY_BYTES
            self._read_from.bufferSize = WIDE_BYTES if is_steady else READ_BYTES
