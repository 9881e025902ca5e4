"""
How much is read from a socket at once: more, where more is there all the time.

To read, to deliver and to write on costs about as much for a small piece as for a large
one. So large bodies go in larger pieces, as long as both sides keep up. Where the other
side does not, what is read has to be held.
"""

from __future__ import annotations

from typing import Any

from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.flow.wrapping import Wrapper, lowest

#: What is read at once from a steady connection, in bytes. Twice as much would save
#: little more: with its copies, it does not fit into a core's own cache. What malloc
#: keeps for it, `regbroker.runtime.kept_memory` says.
WIDE_BYTES = 2 * READ_BYTES

#: What has come in full reads when a connection is steady; each other one, and each
#: pause, halves it. Linux takes 4 MiB for a peer that reads nothing yet (tcp_wmem).
STEADY_BYTES = 8 * 1024 * 1024


class WideReads(Wrapper):
    """A connection that says what each read has brought, and is read accordingly."""

    #: The TCP transport below.
    _read_from: Any = None
    #: What counts towards `STEADY_BYTES`. While it is 0, reads of less than
    #: `READ_BYTES` change nothing.
    _steady = 0

    def read_from(self, transport: Any) -> None:
        """Begin with `READ_BYTES`, which is also what makes the transport full."""
        below = lowest(transport)
        if hasattr(below, "bufferSize"):
            self._read_from = below
            below.bufferSize = READ_BYTES

    def has_read(self, size: int) -> None:
        """Note how many bytes came at once."""
        if size >= READ_BYTES:
            self._set(self._steady + size)
        elif self._steady:
            self._set(self._steady // 2)

    def pauseProducing(self) -> None:
        """Read nothing: what was read is not taken as fast as it came."""
        self._set(self._steady // 2)
        super().pauseProducing()

    def _set(self, steady: int) -> None:
        self._steady = steady
        if self._read_from is not None:
            is_steady = steady >= STEADY_BYTES
            self._read_from.bufferSize = WIDE_BYTES if is_steady else READ_BYTES
