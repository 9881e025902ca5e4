"""
The reply to one request, parsed: llhttp reads HTTP, this refuses what it lets pass.

llhttp, by way of httptools, is strict of itself: no folded header, no bare CR or LF, no
control character in a value, no second Content-Length, none beside Transfer-Encoding,
chunks and trailers as RFC 9112 has them. What it takes and a relay must not:

- Versions other than 1.0 and 1.1, and protocols other than HTTP.
- Transfer-Encoding that is not ``chunked``, once (RFC 9112, 6.1), or in HTTP/1.0. The
  next hop might see the body's end elsewhere.
- ``101``, which nobody has asked for, and a body in any other interim reply.
- Headers without end.

llhttp is not told the method. So a reply to HEAD is complete with its head here, and
what follows is left over. A body whose length is known is counted and not parsed: its
bytes are passed on as they came.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from regbroker.protocol.fields import shown
from regbroker.protocol.header_list import ReceivedHeaders
from regbroker.protocol.headers import NO_OPTIONS, Header, connection_options
from regbroker.transport.client.reply import (
    MalformedReply,
    NoReply,
    Reply,
    ReplyTooLarge,
)
from regbroker.transport.server.strict_channel import MAX_HEADERS_BYTES

#: A reply's status line and headers, interim replies included; and what stands between
#: two pieces of a chunked body, or behind the last one.
MAX_HEADER_BYTES = 256 * 1024

#: One line of a reply's headers: some registries keep the state of an upload in its
#: Location. As much as a client may send in all.
MAX_HEADER_LINE_BYTES = MAX_HEADERS_BYTES

#: How a reply begins.
_START = b"HTTP/1."

#: Statuses whose replies never have a body.
_BODILESS = (204, 304)


class ReplyParser:
    """
    Takes the bytes of a connection from a request on, and gives the reply's body.

    `what` is the server that sends them, for people; `is_head` says that the request
    was HEAD. `reply` is there when its head is.
    """

    #: Known with the head: whether the reply never has a body,
    is_bodiless: bool
    #: whether the end of the connection is the end of the body,
    ends_with_connection: bool
    #: and whether the connection may be used again after the reply.
    is_persistent: bool
    #: Bytes of a body of known length that are still to come, where they are counted.
    _left: int

    def __init__(self, what: str, is_head: bool) -> None:
        self._what = what
        self._is_head = is_head
        self._http: HttpResponseParser | None = HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._headers: list[Header] = []
        self._start = b""
        #: Bytes of heads, later those since the last piece of the body.
        self._unbounded = 0
        self.reply: Reply | None = None
        #: Whether ``100 Continue`` has come; who has seen it may take it back.
        self.continues = False
        self.is_complete = False
        #: Whether bytes came that are no part of the reply.
        self.spills = False

    @property
    def is_untouched(self) -> bool:
        """Whether no byte has come."""
        return not self._start

    def feed(self, data: bytes) -> bytes:
        """
        Take the next bytes; return what they hold of the body.

        Raises `MalformedReply` or `ReplyTooLarge`.
        """
        http = self._http
        if http is None:
            return self._unparsed(data)
        if not self._start and data.startswith(_START):
            self._start = _START
        elif len(self._start) < len(_START):
            self._check_start(data)
        try:
            http.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if isinstance(error.__context__, MalformedReply):
                # One of the calls below has raised it.
                raise error.__context__ from None
            if not self.is_complete:
                raise MalformedReply(self._where(error)) from error
            # It is about what follows.
            self.spills = True
        body = b"".join(self._pieces)
        self._unbounded += len(data)
        if self._unbounded > MAX_HEADER_LINE_BYTES:
            self._check_size(bool(body) or self.is_complete)
        if self.is_complete:
            # It knows this parser: both would wait for the collector.
            self._http = None
        elif self.reply is not None:
            self._go_on(self.reply, len(body))
        return body

    def _unparsed(self, data: bytes) -> bytes:
        """Take bytes behind the head that need no parser."""
        if self.is_complete:
            self.spills = True
            return b""
        if self.ends_with_connection:
            return data
        left = self._left - len(data)
        if left > 0:
            self._left = left
            return data
        self.is_complete, self.spills = True, left < 0
        return data[: self._left]

    def _check_start(self, data: bytes) -> None:
        self._start += data[: len(_START) - len(self._start)]
        if not _START.startswith(self._start):
            raise NoReply("it does not begin as a reply")

    def _where(self, error: Exception) -> str:
        """Return llhttp's words, and how far it has come."""
        if not self._headers:
            return str(error)
        return f"{error}, after the header {shown(self._headers[-1][0])}"

    def _check_size(self, has_ended: bool) -> None:
        for name, value in self._headers:
            if len(name) + len(value) + 2 > MAX_HEADER_LINE_BYTES:
                raise ReplyTooLarge(
                    f"the header {shown(name)} with more than "
                    f"{MAX_HEADER_LINE_BYTES} bytes"
                )
        if self._unbounded > MAX_HEADER_BYTES and not has_ended:
            raise ReplyTooLarge(f"headers of more than {MAX_HEADER_BYTES} bytes")

    def _go_on(self, reply: Reply, received: int) -> None:
        """Count the rest of a body, where that is enough, and parse no more."""
        if self.ends_with_connection:
            self._http = None
        elif reply.length is not None:
            self._left = reply.length - received
            self._http = None
        elif received:
            self._pieces.clear()
            self._unbounded = 0

    # What llhttp finds.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer, too, which nobody gets."""
        self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Take a head: the reply's, or that of an interim reply."""
        http = self._http
        if self.is_complete or http is None:
            return
        version, status = http.get_http_version(), http.get_status_code()
        headers = ReceivedHeaders(self._headers)
        names = headers.by_name
        has_coding = b"transfer-encoding" in names
        if version != "1.1" and version != "1.0":
            raise MalformedReply(f"a reply of HTTP/{version}")
        if status < 200:
            self._take_interim(status, has_coding or b"content-length" in names)
            return
        if has_coding and (version == "1.0" or not _is_chunked(headers)):
            raise MalformedReply("a Transfer-Encoding that is not chunked")
        options = NO_OPTIONS
        if b"connection" in names:
            options = connection_options(headers.all(b"connection"))
        length: int | None = None
        self.is_bodiless = self._is_head or status in _BODILESS
        if self.is_bodiless:
            length = 0
        elif b"content-length" in names:
            length = int(names[b"content-length"])
        self.is_complete = length == 0
        self.ends_with_connection = length is None and not has_coding
        self.is_persistent = version == "1.1" and b"close" not in options
        self.reply = Reply(self._what, status, headers, options, length)

    def _take_interim(self, status: int, has_body: bool) -> None:
        if status < 100 or status == 101 or has_body:
            raise MalformedReply(f"an interim reply of status {status} that ends HTTP")
        self.continues = self.continues or status == 100
        self._headers = []

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self.is_complete:
            self.spills = True
        else:
            self._pieces.append(data)

    def on_message_begin(self) -> None:
        """Notice that something follows."""
        if self.is_complete:
            self.spills = True

    def on_message_complete(self) -> None:
        """Note the end of the reply."""
        self.is_complete = self.reply is not None


def _is_chunked(headers: ReceivedHeaders) -> bool:
    """Tell whether ``chunked`` is the one coding of a message that has codings."""
    codings = headers.all(b"transfer-encoding")
    return len(codings) == 1 and codings[0].lower() == b"chunked"
