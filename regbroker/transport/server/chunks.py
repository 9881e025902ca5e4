"""
Chunked bodies whose trailers are read as strictly as headers.

Twisted keeps the lines after the last chunk as they come, and nobody looks at them.
They go no further here, but a body that ends in what is no HTTP is no whole body: the
next hop may see its end elsewhere.

Twisted's decoder reads what stands between chunks. The data of chunks is many times
more, and goes past it: Twisted would copy it twice, and give each chunk by itself.

Most clients send chunks of one size, so the same bytes stand between them each time.
Where these are the ones that the decoder has read last between two chunks, they mean
the same again, and it is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from regbroker.protocol.fields import is_sound
from regbroker.transport.twisted_private.http import ChunkedDecoder, MalformedChunks

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
        #: What the decoder has read last between two chunks, if it has, and the length
        #: that it gives the second one.
        self._between: tuple[bytes, ...] = ()
        self._length = 0

    def dataReceived(self, data: bytes) -> None:
        """Take the next bytes. Raises `MalformedChunks`."""
        self._received, self._position = data, 0
        view = memoryview(data)
        try:
            while self._position < len(data):
                if self.is_in_chunk:
                    self._take_chunks(data, view)
                else:
                    self._read_lines(data)
        finally:
            self._received = b""
            self._deliver()

    def _take_chunks(self, data: bytes, view: memoryview) -> None:
        """Take the rest of a chunk, and others while the same stands between them."""
        start, end = self._position, self._position + self.length
        while data.startswith(self._between, end):
            self._take(view[start:end])
            start = end + len(self._between[0])
            end = start + self._length
        self._position = min(end, len(data))
        self.set_left(end - self._position)
        is_all = self._position - start == len(data)
        self._take(data if is_all else view[start : self._position])

    def _read_lines(self, data: bytes) -> None:
        """Have the decoder read on, up to the next chunk or the end of a line."""
        start, is_after_chunk = self._position, self.is_after_chunk
        # It may be given in any parts. After a chunk, these are the end of its line and
        # the line of the next chunk's size.
        line = start + 2 if is_after_chunk else start
        self._position = data.find(b"\n", line) + 1 or len(data)
        lines = data[start : self._position]
        super().dataReceived(lines)
        if is_after_chunk and self.is_in_chunk:
            self._between, self._length = (lines,), self.length

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
