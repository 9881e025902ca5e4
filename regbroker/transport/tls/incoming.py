"""
What a peer sends: records that become plaintext, without a question in vain.

OpenSSL raises an exception where it is asked for a record that is not there. So it is
known how many bytes can be left of what it was given; with none, nobody asks.

Facts that shape this module:

- A record of TLS 1.3 has its content and at least 22 bytes: a header of 5, the type of
  the content, padding, and a tag, of 16 in all suites but AES_128_CCM_8 (RFC 8446, 5.2;
  RFC 5116, 5). So what is left after a record is known, at most.
- Padding, and messages of TLS itself such as tickets and key updates, take bytes and
  give no plaintext: the bound is too high from then on, never too low.
- OpenSSL that asks for more has taken all that it was given. So a record that one byte
  more makes whole ends with this byte: nothing is left, and the bound is exact.
"""

from __future__ import annotations

from collections.abc import Iterable

from OpenSSL import SSL

from regbroker.transport.tls.records import (
    RECORD_BYTES,
    SEALED_BYTES,
    fit_for_bio,
    records_at_once,
)

#: What a record has beside its content, at least; in bytes.
OVERHEAD_BYTES = 22

#: The suites of which that is true: those of TLS 1.3 that OpenSSL has by default.
SUITES = frozenset(
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
)

#: How often a connection gives the last byte of a piece alone, to have an exact bound.
#: Mostly once is enough, after the handshake and after tickets. Where pieces end
#: anywhere, as those of a large body do, it would be in vain for ever.
TRIES = 8


class Incoming:
    """What has come on one connection; nothing of it is known before `secured`."""

    __slots__ = ("_is_known", "_tries", "_unread")

    def __init__(self) -> None:
        #: So many bytes are left at most, those of a record that is not whole included.
        self._unread = 0
        self._is_known = False
        self._tries = 0

    def secured(self, connection: SSL.Connection) -> None:
        """Note that the handshake is over."""
        if connection.get_cipher_name() in SUITES:
            self._is_known = True
            self._tries = TRIES

    def pieces(self, data: bytes, carried: int) -> Iterable[bytes | memoryview]:
        """Return received bytes in pieces for OpenSSL, after so many bytes in all."""
        size = len(data)
        if size > SEALED_BYTES:
            return fit_for_bio(data, records_at_once(carried, size))
        if self._unread and self._tries and size > 1:
            self._tries -= 1
            return data[:-1], data[-1:]
        return (data,)

    def decrypt(
        self, connection: SSL.Connection, size: int, plain: list[bytes]
    ) -> SSL.Error | None:
        """
        Append the plaintext of all whole records to `plain`.

        `size` is what OpenSSL was given since the last time, in bytes. Returns what
        ended the stream, `SSL.ZeroReturnError` for the peer's close_notify; None while
        it goes on.
        """
        unread = self._unread + size
        try:
            while True:
                plain.append(connection.recv(RECORD_BYTES))
                if self._is_known:
                    unread -= len(plain[-1]) + OVERHEAD_BYTES
                    if size == 1 or not unread:
                        self._unread = 0
                        return None
        except SSL.WantReadError:
            self._unread = unread
            return None
        except SSL.Error as error:
            # Its traceback knows who keeps it: both would wait for the collector.
            return error.with_traceback(None)
