"""
What is written, in blocks that fill TLS records, whichever way these go to the socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from OpenSSL import SSL

from regbroker.transport.pyopenssl_private import RECORD_BYTES

#: OpenSSL's SSL_MODE_ENABLE_PARTIAL_WRITE: each write ends after one record. pyOpenSSL
#: sets it, and has no name for it.
_PARTIAL_WRITES = 0x1


def write_whole(context: SSL.Context) -> None:
    """
    Have the connections of a context encrypt all that they are given, in one call.

    Only before the first of them.
    """
    context.clear_mode(_PARTIAL_WRITES)


def whole_records(data: Sequence[bytes]) -> Iterable[bytes | memoryview]:
    """
    Return all bytes of some pieces, in blocks that fill records; only the last may not.

    So what is small goes into a record with its neighbours, and most of what is large
    is not copied.
    """
    if len(data) == 1 and 0 < len(data[0]) <= RECORD_BYTES:
        return data
    if 0 < sum(map(len, data)) <= RECORD_BYTES:
        return (b"".join(data),)
    return _blocks(data)


def _blocks(data: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    waiting: list[memoryview] = []
    size = 0
    for piece in data:
        view = memoryview(piece)
        if waiting:
            missing = RECORD_BYTES - size
            waiting.append(view[:missing])
            size += len(waiting[-1])
            if size < RECORD_BYTES:
                continue
            yield b"".join(waiting)
            waiting.clear()
            view = view[missing:]
        size = len(view) % RECORD_BYTES
        full = len(view) - size
        if full:
            yield view[:full]
        if size:
            waiting.append(view[full:])
    if waiting:
        yield b"".join(waiting)
