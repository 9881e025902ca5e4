"""
TLS records through the memory BIOs of one pyOpenSSL connection.

Nothing here knows a transport. A memory BIO keeps its memory for as long as its
connection lives. So records pass through it one by one, and three at once on a
connection that carries much, where that saves a third of the time to encrypt. The
processor still has these at hand when it needs them again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from OpenSSL import SSL

from regbroker.transport.record_ends import RECORD_BYTES, SEALED_BYTES

#: Records at once on a connection that carries much; that takes 43 KiB more of memory.
MOST_RECORDS = 3

#: What "much" is: small layers are over by then, and a large one has begun.
MUCH_BYTES = 1024 * 1024

#: What is taken out of a memory BIO at once.
PIECE_BYTES = MOST_RECORDS * SEALED_BYTES


#: As many reads as it takes until nothing is left.
ALL = sys.maxsize

#: OpenSSL's SSL_MODE_ENABLE_PARTIAL_WRITE: each write ends after one record. pyOpenSSL
#: sets it, and has no name for it.
_PARTIAL_WRITES = 0x1


def write_whole(context: SSL.Context) -> None:
    """
    Have the connections of a context encrypt all that they are given, in one call.

    Only before the first of them.
    """
    context.clear_mode(_PARTIAL_WRITES)


def records_at_once(carried: int) -> int:
    """Return how many records a connection is given at once, after so many bytes."""
    return MOST_RECORDS if carried > MUCH_BYTES else 1


def decrypt(
    connection: SSL.Connection, plain: list[bytes], reads: int
) -> SSL.Error | None:
    """
    Append the plaintext of so many records in the BIO to `plain`.

    Returns what came in place of data: `SSL.WantReadError` where a record was for TLS
    itself, which may have an answer, and `SSL.ZeroReturnError` for the peer's
    close_notify.
    """
    receive = connection.recv
    try:
        for _ in range(reads):
            plain.append(receive(RECORD_BYTES))
    except SSL.Error as error:
        # Its traceback knows who keeps it: both would wait for the collector.
        return error.with_traceback(None)
    return None


def whole_records(data: Sequence[bytes]) -> Iterable[bytes | memoryview]:
    """
    Return all bytes of some pieces, in blocks that fill records; only the last may not.

    So what is small goes into a record with its neighbours, and most of what is large
    is not copied.
    """
    if 0 < sum(map(len, data)) <= RECORD_BYTES:
        return data if len(data) == 1 else (b"".join(data),)
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


def encrypt(
    connection: SSL.Connection,
    data: Sequence[bytes],
    records: list[bytes],
    at_once: int,
) -> tuple[int, SSL.Error | None]:
    """
    Append pieces of `data` in records to `records`, after what TLS itself has to say.

    They are taken out of the BIO when there are `at_once` of them.

    Returns how many bytes of `data` that were, and why not all: `SSL.WantReadError`
    when a new handshake has to be finished first.
    """
    sent = held = 0
    most = at_once * RECORD_BYTES
    problem: SSL.Error | None = None
    try:
        for block in whole_records(data):
            while block:
                room = most - held
                # Or one record, where the context is not one of `write_whole`.
                count = connection.send(block if len(block) <= room else block[:room])
                sent += count
                held += count
                if held == most:
                    drain(connection, records)
                    held = 0
                block = block[count:]
    except SSL.Error as error:
        problem = error
    if held or problem is not None or not sent:
        drain(connection, records)
    return sent, problem


def drain(connection: SSL.Connection, records: list[bytes]) -> None:
    """Append the records that are to be sent to `records`."""
    try:
        while True:
            piece = connection.bio_read(PIECE_BYTES)
            records.append(piece)
            if len(piece) < PIECE_BYTES:
                return
    except SSL.WantReadError:
        return


def is_end_of_file(error: SSL.Error) -> bool:
    """Tell whether a stream has ended without close_notify, as OpenSSL says it."""
    if isinstance(error, SSL.SysCallError):
        return str(error.args[-1]).casefold().startswith("unexpected eof")
    queue = error.args[0] if error.args else None
    # An error without any reason is OpenSSL 4's way to say so.
    return not queue or str(queue[-1][-1]).casefold().startswith("unexpected eof")
