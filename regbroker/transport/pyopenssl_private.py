"""
What regbroker uses of pyOpenSSL though it is private there: OpenSSL's own calls.

pyOpenSSL's `recv`, `send` and `bio_read` allocate a buffer for each record, copy out of
it, and raise an exception when nothing is there. Of a large body, that is a sixth of
all CPU time. Here all records at hand go into one buffer, and are copied once. Why a
peer's certificate was refused, pyOpenSSL tells a callback alone, which each connection
would need; OpenSSL knows it afterwards.

This is the only module that touches private names of pyOpenSSL. Any release may change
them: setup.cfg has the upper bound, and `tests/transport/test_pyopenssl_private.py`
shows for each function that it does what pyOpenSSL's own method does.
`tests/test_private_names.py` fails where another module uses such a name.
"""

from __future__ import annotations

import threading
from typing import Any

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

__all__ = [
    "MOST_BYTES",
    "RECORD_BYTES",
    "read_bio",
    "receive",
    "refused_certificate",
    "send",
]

#: The plaintext of a record, at most (RFC 8446, 5.1).
RECORD_BYTES = 16 * 1024

#: What is received at once at most, in bytes.
MOST_BYTES = 240 * 1024

_lib: Any = Binding.lib
_ffi: Any = Binding.ffi
# To look these up in the library takes as long as the call of a Python function.
_ssl_read, _ssl_write, _bio_read = _lib.SSL_read, _lib.SSL_write, _lib.BIO_read
_get_error, _WANT_READ = _lib.SSL_get_error, _lib.SSL_ERROR_WANT_READ
_unpack, _from_buffer = _ffi.unpack, _ffi.from_buffer


class _Scratch(threading.local):
    """A buffer for each thread, since OpenSSL's calls let other threads run."""

    def __init__(self) -> None:
        # What is not touched takes no memory.
        new = _ffi.new_allocator(should_clear_after_alloc=False)
        self.buffer: Any = new("char[]", MOST_BYTES)


_scratch = _Scratch()


def receive(
    connection: SSL.Connection,
    size: int = MOST_BYTES,
    records: int = MOST_BYTES,
    many: bool = True,
) -> tuple[bytes, SSL.Error | None]:
    """
    Return the plaintext of all records at hand, and what ended the stream.

    No record is read after `size` bytes, after so many `records`, and, without `many`,
    after one that is not full. What ended the stream is None while it goes on, and
    `SSL.WantWriteError` when OpenSSL has to send something first.
    """
    ssl = connection._ssl
    buffer = at = _scratch.buffer
    received = 0
    # A record that is begun is read to its end.
    most = min(size, MOST_BYTES - RECORD_BYTES + 1)
    while received < most and records:
        count = _ssl_read(ssl, at, RECORD_BYTES)
        if count <= 0:
            return _unpack(buffer, received), _problem(connection, ssl, count)
        received += count
        records -= 1
        if count < RECORD_BYTES and not many:
            break
        at = buffer + received
    return _unpack(buffer, received), None


def _problem(connection: Any, ssl: Any, result: int) -> SSL.Error | None:
    if _get_error(ssl, result) == _WANT_READ:
        return None
    try:
        connection._raise_ssl_error(ssl, result)
    except SSL.Error as error:
        # Its traceback knows who keeps it: both would wait for the collector.
        return error.with_traceback(None)
    raise AssertionError(f"OpenSSL returned {result} without an error")


def send(connection: SSL.Connection, data: bytes | memoryview) -> int:
    """Encrypt and send bytes; return how many, and raise as pyOpenSSL's `send` does."""
    ssl = connection._ssl
    count: int = _ssl_write(ssl, _from_buffer(data), len(data))
    if count <= 0:
        connection._raise_ssl_error(ssl, count)
    return count


def read_bio(connection: SSL.Connection, size: int) -> bytes:
    """Return what OpenSSL has for the peer, so many bytes at most; maybe none."""
    buffer = _scratch.buffer
    count = _bio_read(connection._from_ssl, buffer, min(size, MOST_BYTES))
    data: bytes = _unpack(buffer, max(count, 0))
    return data


def refused_certificate(connection: SSL.Connection) -> str:
    """Return OpenSSL's words for why it has refused the peer's certificate, or none."""
    code = _lib.SSL_get_verify_result(connection._ssl)
    if code == _lib.X509_V_OK:
        return ""
    words: bytes = _ffi.string(_lib.X509_verify_cert_error_string(code))
    return words.decode("ascii", "replace")
