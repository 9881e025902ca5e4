"""
The head of a request that has come whole, read by llhttp in one step.

Nearly every request is like that: a line and some headers in one read, and no body.
What is not taken here is read line by line by
`regbroker.transport.server.strict_channel`. That one knows methods, framings and
versions that llhttp or this module does not, and can say which line is wrong. So
nothing is refused here, and what is taken is a part of what is taken there: the same
bytes make the same request, or none.

llhttp, by way of httptools, is strict of itself: no folded header, no bare CR or LF, no
control character in a value. It takes more spaces in a request line, and more ends of
lines before it, than RFC 9112, 2.2 and 3 have, so the request line is split here.
"""

from __future__ import annotations

from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from regbroker.protocol.fields import repeated_singleton
from regbroker.protocol.header_list import ReceivedHeaders
from regbroker.protocol.headers import Header

_END = b"\r\n\r\n"
_LINE_END = b"\r\n"

#: What needs more than a head: a body, or an interim reply.
_NEEDS_MORE = frozenset({b"content-length", b"transfer-encoding", b"expect"})


class Head(NamedTuple):
    """A request of HTTP/1.1 without a body; names and values as the client wrote."""

    method: bytes
    target: bytes
    headers: ReceivedHeaders


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
        end = data.find(_END)
        if end < 0 or end + len(_END) < len(data) or len(data) > self._max_bytes:
            return None
        line = data[: data.index(_LINE_END)].split(b" ")
        if len(line) != 3 or line[2] != b"HTTP/1.1" or data[:1] in _LINE_END:
            return None
        self._headers: list[Header] = []
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._begin()
            return None
        headers = ReceivedHeaders(self._headers)
        if not _NEEDS_MORE.isdisjoint(headers.by_name):
            # The parser waits for a body.
            self._begin()
            return None
        if not self._parser.should_keep_alive():
            # It takes nothing more.
            self._begin()
        may_repeat = len(headers.by_name) < len(headers) or b"_" in data
        if may_repeat and repeated_singleton(headers) is not None:
            return None
        if len(headers) > self._max_headers:
            return None
        return Head(line[0], line[1], headers)

    def _begin(self) -> None:
        self._parser = HttpRequestParser(self)

    # What llhttp tells.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; llhttp leaves the white space behind it."""
        self._headers.append((name, value.strip(b" \t")))
