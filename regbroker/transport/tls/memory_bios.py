"""
TLS records through the memory BIOs of one pyOpenSSL connection.

Nothing here knows a transport. A memory BIO keeps its memory for as long as its
connection lives. So records pass through it one by one, and several at once on a
connection that carries much, where that saves a third of the time to encrypt. The
processor still has these at hand when it needs them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from OpenSSL import SSL

from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.pyopenssl_private import RECORD_BYTES, read_bio, send
from regbroker.transport.tls.records import whole_records

#: A record as it is sent, with its header and more.
SEALED_BYTES = RECORD_BYTES + 256

#: Records at once on a connection that carries much. That takes 43 KiB more of memory.
SOME_RECORDS = 3

#: What "much" is: small layers are over by then, and a large one has begun.
MUCH_BYTES = 1024 * 1024

#: Records at once on such a connection when more than `READ_BYTES` come together, as
#: they do where both sides are fast. That takes 85 KiB more.
MOST_RECORDS = 7


def records_at_once(carried: int, size: int) -> int:
    """Return how many records of `size` bytes go into a BIO, after so many bytes."""
    if carried <= MUCH_BYTES:
        return 1
    return MOST_RECORDS if size > READ_BYTES else SOME_RECORDS


def fit_for_bio(data: bytes, records: int) -> Iterable[bytes | memoryview]:
    """Return received bytes in pieces of so many records."""
    size = records * SEALED_BYTES
    if len(data) <= size:
        return (data,)
    view = memoryview(data)
    return [view[start : start + size] for start in range(0, len(data), size)]


def encrypt(
    connection: SSL.Connection, data: Sequence[bytes], at_once: int
) -> tuple[list[bytes], int, SSL.Error | None]:
    """
    Return pieces of `data` in records, after what TLS itself has to say.

    They are taken out of the BIO when there are `at_once` of them.

    Beside them stands how many bytes of `data` that were, and why not all:
    `SSL.WantReadError` when a new handshake has to be finished first.
    """
    records: list[bytes] = []
    sent = held = 0
    most = at_once * RECORD_BYTES
    problem: SSL.Error | None = None
    try:
        for block in whole_records(data):
            while block:
                room = most - held
                # Or one record, where the context is not one of `write_whole`.
                count = send(connection, block if len(block) <= room else block[:room])
                sent += count
                held += count
                if held == most:
                    records += drain(connection, at_once)
                    held = 0
                block = block[count:]
    except SSL.Error as error:
        problem = error.with_traceback(None)
    if held or problem is not None or not sent:
        records += drain(connection, at_once)
    return records, sent, problem


def drain(connection: SSL.Connection, at_once: int = 1) -> list[bytes]:
    """Return what is to be sent, taken out of the BIO so many records at once."""
    size = at_once * SEALED_BYTES
    records: list[bytes] = []
    while data := read_bio(connection, size):
        records.append(data)
        if len(data) < size:
            break
    return records
