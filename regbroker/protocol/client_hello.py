"""
The server name that a TLS client asks for, before TLS itself reads a byte.

Facts (RFC 8446, 4.1.2 and 5.1; RFC 6066, 3; the same in TLS 1.2):

- The first message is ClientHello, in one or several records of type handshake.
- A record has 5 bytes before its fragment: type, version (2), length (2).
- A message has 4 bytes before its body: type, length (3).
- The body: version (2), random (32), session id, cipher suites, compression methods,
  extensions. Of each list, the length comes first: 1, 2, 1 and 2 bytes.
- An extension has a type (2) and data with a length (2). The data of server_name
  (type 0) is a list, with a length (2), of a type (1) and a name with a length (2).
"""

from __future__ import annotations

#: A longer ClientHello has no name here: it is 500 bytes mostly, and 2000 with keys
#: that resist quantum computers.
MAX_HELLO_BYTES = 16 * 1024

_HANDSHAKE_RECORD = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0

_RECORD_HEADER = 5
_MESSAGE_HEADER = 4


class ClientHello:
    """
    The first message of a client, read in whatever pieces it comes.

    Each byte is looked at once: whoever sends one at a time costs no more for it.
    """

    def __init__(self) -> None:
        self._received = 0
        #: The header of a record, until it is whole.
        self._header = b""
        #: How many bytes of the record are to come.
        self._left = 0
        self._message = bytearray()

    def server_name(self, data: bytes) -> str | None:
        """
        Take the next bytes; return the server name in lower case.

        None while more bytes must come; an empty text where there is no name, and where
        there is no ClientHello: TLS itself says what is wrong with it.
        """
        try:
            self._take(data)
            end = self._end()
            if end is not None:
                return _name(_Reader(bytes(self._message[_MESSAGE_HEADER:end])))
            return "" if self._received > MAX_HELLO_BYTES else None
        except ValueError:
            return ""

    def _take(self, data: bytes) -> None:
        """Take records, as far as the message goes."""
        self._received += len(data)
        at = 0
        while at < len(data) and self._end() is None:
            if self._left:
                part = data[at : at + self._left]
                self._message += part
                self._left -= len(part)
            else:
                part = data[at : at + _RECORD_HEADER - len(self._header)]
                self._header += part
                if self._header[0] != _HANDSHAKE_RECORD:
                    raise ValueError("no handshake record")
                if len(self._header) == _RECORD_HEADER:
                    self._left = int.from_bytes(self._header[3:], "big")
                    self._header = b""
            at += len(part)

    def _end(self) -> int | None:
        """Return where the message ends, if all of it is here; raises `ValueError`."""
        message = self._message
        if message and message[0] != _CLIENT_HELLO:
            raise ValueError("no ClientHello")
        if len(message) < _MESSAGE_HEADER:
            return None
        end = _MESSAGE_HEADER + int.from_bytes(message[1:_MESSAGE_HEADER], "big")
        return end if len(message) >= end else None


def _name(hello: _Reader) -> str:
    hello.take(2 + 32)
    for length_bytes in (1, 2, 1):
        hello.vector(length_bytes)
    if hello.is_empty:
        # TLS 1.2 may have no extensions at all.
        return ""
    extensions = _Reader(hello.vector(2))
    while not extensions.is_empty:
        kind = extensions.number(2)
        extension = extensions.vector(2)
        if kind == _SERVER_NAME:
            names = _Reader(_Reader(extension).vector(2))
            while not names.is_empty:
                kind, name = names.number(1), names.vector(2)
                if kind == _HOST_NAME:
                    return name.decode("ascii").lower()
    return ""


class _Reader:
    """Takes fields from the beginning of bytes; raises `ValueError` at their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise ValueError("it ends too early")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def vector(self, length_bytes: int) -> bytes:
        return self.take(self.number(length_bytes))
