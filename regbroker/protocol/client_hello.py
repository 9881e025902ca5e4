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


def server_name(data: bytes) -> str | None:
    """
    Return the server name in the first bytes of a client, in lower case.

    None while more bytes must come; an empty text where there is no name, and where
    there is no ClientHello: TLS itself says what is wrong with it.
    """
    try:
        message = _message(data)
        return None if message is None else _name(_Reader(message))
    except ValueError:
        return ""


def _message(data: bytes) -> bytes | None:
    """Return the body of the first message; raises `ValueError` for another one."""
    message, rest = b"", data
    while rest:
        if rest[0] != _HANDSHAKE_RECORD:
            raise ValueError("no handshake record")
        end = _RECORD_HEADER + int.from_bytes(rest[3:_RECORD_HEADER], "big")
        message += rest[_RECORD_HEADER:end]
        if message and message[0] != _CLIENT_HELLO:
            raise ValueError("no ClientHello")
        whole = _MESSAGE_HEADER + int.from_bytes(message[1:_MESSAGE_HEADER], "big")
        if len(message) >= _MESSAGE_HEADER and len(message) >= whole:
            return message[_MESSAGE_HEADER:whole]
        if len(rest) < max(end, _RECORD_HEADER):
            break
        rest = rest[end:]
    if len(data) > MAX_HELLO_BYTES:
        raise ValueError("too long")
    return None


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
