"""
Where TLS records end in what is received, and the pieces of it that a memory BIO gets.

OpenSSL that is asked for more than has come raises an exception, which costs as much as
to decrypt a small record. Where records end, their headers say in clear.
"""

from __future__ import annotations

from collections.abc import Sequence

#: The plaintext of one record.
RECORD_BYTES = 16 * 1024

#: A record as it is sent, with its header and more.
SEALED_BYTES = RECORD_BYTES + 256

#: How a record with data begins: its type and the version, in TLS 1.2 (RFC 5246, 6.2.1)
#: and in TLS 1.3, where all records look like that once there are keys (RFC 8446, 5.2).
_DATA = b"\x17\x03\x03"

#: These, and two bytes with the length of what follows.
_HEADER_BYTES = 5

#: A part of what was received, and how often OpenSSL is to be asked when it has that.
Piece = tuple[bytes | memoryview, int]


class RecordEnds:
    """Follows the records of one connection in one direction, from the first byte."""

    def __init__(self) -> None:
        #: Where the next record begins in what comes next. It is negative when a part
        #: of its header, `_header`, has come.
        self._next = 0
        self._header = b""
        #: What has come of a record that is not whole.
        self._held = 0

    def cut(self, data: bytes, at_once: int) -> Sequence[Piece]:
        """
        Cut what comes next so that a BIO never holds more than so many records.

        OpenSSL is asked once for each record that ends in a piece, and at once about
        one that begins as no data does: that may be wrong.
        """
        size, most = len(data), at_once * SEALED_BYTES
        if not self._next and size == _length(data):
            # Mostly it is one record.
            return ((data, 1),)
        ends, is_odd = self._follow(data)
        start, self._held = -self._held, size - ends[-1] if ends else self._held + size
        if size - start <= most:
            return ((data, len(ends) + is_odd),)
        pieces: list[Piece] = []
        view = memoryview(data)
        end = reads = 0
        for at in ends:
            if at - start > most and end:
                pieces.append((view[max(start, 0) : end], reads))
                start, reads = end, 0
            end = at
            reads += 1
        if size - start > most and end:
            pieces.append((view[max(start, 0) : end], reads))
            start, reads = end, 0
        if start < size:
            pieces.append((view[max(start, 0) :], reads + is_odd))
        return pieces

    def _follow(self, data: bytes) -> tuple[list[int], bool]:
        """Return where records end, and whether what is behind them begins oddly."""
        size, at = len(data), self._next
        ends = [at] if 0 < at <= size else []
        is_odd = False
        while at + _HEADER_BYTES <= size:
            if at >= 0:
                header = data[at : at + _HEADER_BYTES]
            else:
                header = self._header + data[: at + _HEADER_BYTES]
            length = _length(header)
            at += length
            if at <= size:
                ends.append(at)
            else:
                is_odd = length > SEALED_BYTES or not header.startswith(_DATA)
        if at < size:
            self._header = (self._header if at < 0 else b"") + data[max(at, 0) :]
        self._next = at - size
        return ends, is_odd


def _length(header: bytes) -> int:
    """Return how long the record with this header is, as a whole."""
    return _HEADER_BYTES + int.from_bytes(header[3:_HEADER_BYTES], "big")
