"""
Chunked bodies whose trailers are read as strictly as headers.

Twisted keeps the lines after the last chunk as they come, and nobody looks at them.
They go no further here, but a body that ends in what is no HTTP is no whole body: the
next hop may see its end elsewhere.

Twisted's decoder reads what stands between chunks. The data of chunks is many times
more, and goes past it: Twisted would copy it twice, and give each chunk by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from regbroker.protocol.fields import is_sound
from regbroker.transport.twisted_private import ChunkedDecoder, MalformedChunks

#: RFC 9110, 5.1 and 5.6.2: a name is a token, with nothing between it and the colon.
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:(.*)", re.DOTALL)


class StrictChunks(ChunkedDecoder):
    """
    Decodes a chunked body; a malformed trailer makes it a malformed body.

    `on_data` takes the data of all chunks in what is received at once, joined, and
    `on_end` what follows the body.
    """

    def __init__(
        self, on_data: Callable[[bytes], None], on_end: Callable[[bytes], None]
    ) -> None:
        super().__init__(self._take, self._end)
        self._on_data = on_data
        self._on_end = on_end
        self._pieces: list[bytes | memoryview] = []
        #: What was received, as long as it is looked at, and how much of it is read.
        self._received = b""
        self._position = 0

    def dataReceived(self, data: bytes) -> None:
        """Take the next bytes. Raises `MalformedChunks`."""
        self._received, self._position = data, 0
        view = memoryview(data)
        try:
            while self._position < len(data):
                start = self._position
                if self.is_in_chunk:
                    self._position = min(start + self.length, len(data))
                    is_all = self._position - start == len(data)
                    self._take(data if is_all else view[start : self._position])
                    self.passed(self._position - start)
                else:
                    # It may be given in any parts: these end where lines do.
                    self._position = data.find(b"\n", start) + 1 or len(data)
                    super().dataReceived(data[start : self._position])
        finally:
            self._received = b""
            self._deliver()

    def trailer_received(self, line: bytes) -> None:
        """Check one trailer, and drop it."""
        field = _FIELD.fullmatch(line)
        if field is None or not is_sound(field[1]):
            raise MalformedChunks("a trailer is no header")

    def _take(self, data: bytes | memoryview) -> None:
        self._pieces.append(data)

    def _end(self, rest: bytes) -> None:
        self._deliver()
        rest += self._received[self._position :]
        self._position = len(self._received)
        self._on_end(rest)

    def _deliver(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces:
            only = pieces[0] if len(pieces) == 1 else None
            self._on_data(only if isinstance(only, bytes) else b"".join(pieces))
