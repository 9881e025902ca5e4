"""
The head of a request that has come whole, read by llhttp in one step.

Nearly every request is like that: a line and some headers in one read, and no body.
What is not taken here is read line by line by `regbroker.transport.strict_channel`.
That one knows methods, framings and versions that llhttp or this module does not, and
can say which line is wrong. So nothing is refused here, and what is taken is a part of
what is taken there: the same bytes make the same request, or none.

llhttp, by way of httptools, is strict of itself: no folded header, no bare CR or LF, no
control character in a value. It takes more spaces and empty lines before a request
line than RFC 9112, 3 has, so the request line is split here.
"""

from __future__ import annotations

from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from regbroker.protocol.fields import ONCE
from regbroker.protocol.header_list import HeaderList

_END = b"\r\n\r\n"

#: What needs more than a head: a body, or an interim reply.
_NEEDS_MORE = frozenset({b"content-length", b"transfer-encoding", b"expect"})


class Head(NamedTuple):
    """A request of HTTP/1.1 without a body; names and values as the client wrote."""

    method: bytes
    target: bytes
    headers: HeaderList


class WholeHeads:
    """
    Reads heads, one at a time, for any number of connections.

    What exceeds `max_bytes` or `max_headers` is not taken.
    """

    def __init__(self, max_bytes: int, max_headers: int) -> None:
        self._max_bytes = max_bytes
        self._max_headers = max_headers
        self._begin()

    def read(self, data: bytes) -> Head | None:
        """Return the request that these bytes are, no more and no less; else None."""
        if len(data) > self._max_bytes or not data.endswith(_END):
            return None
        if data.find(_END) != len(data) - len(_END):
            return None
        line = data[: data.index(b"\r\n")].split(b" ")
        if len(line) != 3 or line[2] != b"HTTP/1.1":
            return None
        self._headers = headers = HeaderList()
        self._is_complete = False
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._begin()
            return None
        if not (self._is_complete and self._parser.should_keep_alive()):
            # It takes nothing more, or a body.
            self._begin()
        if len(headers) > self._max_headers or _is_more_than_a_head(headers):
            return None
        return Head(line[0], line[1], headers)

    def _begin(self) -> None:
        self._parser = HttpRequestParser(self)

    # What llhttp tells.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; llhttp leaves the white space behind it."""
        self._headers.append((name, value.strip(b" \t")))

    def on_message_complete(self) -> None:
        """Note that no body follows."""
        self._is_complete = True


def _is_more_than_a_head(headers: HeaderList) -> bool:
    """Tell whether more than these headers is to be read, or one is there twice."""
    seen: list[bytes] = []
    for name, _ in headers:
        once = ONCE[name]
        if once is not None:
            if once in seen or once in _NEEDS_MORE:
                return True
            seen.append(once)
    return False
