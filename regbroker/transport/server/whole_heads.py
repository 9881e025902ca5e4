"""
The head of a request that has come whole, read by llhttp in one step.

Nearly every request is like that: a line and some headers in one read, with nothing
behind them but the beginning of a body. What is not taken here is read line by line by
`regbroker.transport.server.strict_channel`. That one knows methods, framings and
versions that llhttp or this module does not, and can say which line is wrong. So
nothing is refused here, and what is taken is a part of what is taken there: the same
bytes make the same request, or none.

A head of more than 4096 bytes, as tokens of cloud registries make it, comes in parts
of that size from clients written in Go: so large is the buffer of ``net/http``. Such a
part waits for the next one.

Clients of one version ping with the same bytes, and ask for the same image with the
same bytes before they have a token. So what such heads became is remembered by their
bytes, from which the same follows each time. None of them has anything that may be
secret.

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
from regbroker.runtime.bounded_memory import BoundedMemory

_END = b"\r\n\r\n"
_LINE_END = b"\r\n"

#: What Go's ``net/http`` writes at once.
PART_BYTES = 4096

#: As numbers: to look for one of them takes a third of what `find` takes.
_UNDERSCORE, _QUESTION_MARK = b"_?"

_LENGTH, _CODING, _EXPECT = b"content-length", b"transfer-encoding", b"expect"

_BOTH = frozenset({_LENGTH, _CODING})

#: The method of HTTP/2's preface (RFC 9113, 3.4), whose other half llhttp waits for.
_PREFACE = b"PRI"

#: After these llhttp takes no other head: it waits for a body, or the connection ends,
#: in one spelling or another.
_MAY_BE_LAST = frozenset(
    {_LENGTH, _CODING, _EXPECT, b"connection", b"proxy-connection"}
)

#: The headers that a head which is remembered may have, in lower case: no credentials,
#: and nothing that a proxy says of one client.
_SAME_FOR_ALL = frozenset(
    {b"accept", b"accept-encoding", b"connection", b"host", b"user-agent"}
)

#: Heads that are remembered, and the bytes of each. With what they became, 256 of
#: docker's pings take 0.4 MiB, and heads of nothing but short headers 1.7.
MAX_REMEMBERED = 256
MAX_REMEMBERED_BYTES = 512


class Head(NamedTuple):
    """
    A request of HTTP/1.1; names and values as the client wrote.

    `framing` is the header that says where its body ends, None for one without a body.
    `rest` is what has come of the body.
    """

    method: bytes
    target: bytes
    headers: ReceivedHeaders
    framing: Header | None = None
    rest: bytes = b""


class WholeHeads:
    """
    Reads heads, one at a time, for any number of connections.

    What exceeds `max_bytes` or `max_headers` is not taken.
    """

    def __init__(self, max_bytes: int, max_headers: int) -> None:
        self._max_bytes = max_bytes
        self._max_headers = max_headers
        self._remembered = BoundedMemory[bytes, Head](MAX_REMEMBERED)
        self._begin()

    def read(self, data: bytes) -> Head | None:
        """
        Return the request that these bytes are, no more and no less; else None.

        Of a body, they may be any part from its beginning.
        """
        # What is long is not hashed: it may be the beginning of a body.
        is_short = len(data) <= MAX_REMEMBERED_BYTES
        known = self._remembered.get(data) if is_short else None
        return self._parse(data) if known is None else known

    def is_part(self, data: bytes) -> bool:
        """
        Tell whether these bytes, of which `read` has made nothing, begin a head.

        The rest is on its way then, though nobody can tell whether it is sound.
        """
        return (
            len(data) % PART_BYTES == 0
            and len(data) < self._max_bytes
            and _END not in data
            and _is_line(data.partition(_LINE_END)[0].split(b" "))
            and data[0] not in _LINE_END
        )

    def _parse(self, data: bytes) -> Head | None:
        end = data.find(_END) + len(_END)
        if end < len(_END) or end > self._max_bytes:
            return None
        rest = b""
        if end < len(data):
            data, rest = data[:end], data[end:]
        line = data.partition(_LINE_END)[0].split(b" ")
        if not _is_line(line) or data[0] in _LINE_END:
            return None
        self._headers: list[Header] = []
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._begin()
            return None
        headers = ReceivedHeaders(self._headers)
        framing = None
        if not _MAY_BE_LAST.isdisjoint(headers.by_name):
            # The parser does not say so after the end of a head.
            self._begin()
            framing = _framing(headers)
            # The first is for nobody else, and the others together may be read in two
            # ways.
            if _EXPECT in headers.by_name or headers.by_name.keys() >= _BOTH:
                return None
        if rest and framing is None:
            return None
        may_repeat = len(headers.by_name) < len(headers) or _UNDERSCORE in data
        if may_repeat and repeated_singleton(headers) is not None:
            return None
        if len(headers) > self._max_headers:
            return None
        head = Head(line[0], line[1], headers, framing, rest)
        if _SAME_FOR_ALL.issuperset(headers.by_name) and not rest:
            self._remember(data, head)
        return head

    def _remember(self, data: bytes, head: Head) -> None:
        """Remember a head, if it may come from many clients."""
        is_path = head.target[:1] == b"/" and _QUESTION_MARK not in head.target
        if is_path and len(data) <= MAX_REMEMBERED_BYTES:
            self._remembered.put(data, head)

    def _begin(self) -> None:
        self._parser = HttpRequestParser(self)

    # What llhttp tells.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; llhttp leaves the white space behind it."""
        self._headers.append((name, value.strip(b" \t")))


def _is_line(words: list[bytes]) -> bool:
    """Tell whether this is a request line of HTTP/1.1, split at its spaces."""
    return len(words) == 3 and words[2] == b"HTTP/1.1" and words[0] != _PREFACE


def _framing(headers: ReceivedHeaders) -> Header | None:
    """Return what says where a body ends; None where there is none."""
    coding = headers.by_name.get(_CODING)
    if coding is not None:
        return b"Transfer-Encoding", coding
    length = headers.by_name.get(_LENGTH)
    return None if length in (None, b"0") else (b"Content-Length", length)
