"""
The reply of a request: its head, which is made in one step, and its body.

What is set before that in Twisted's way goes into the same head. A reply that is begun
in Twisted's way goes Twisted's way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from twisted.web.http_headers import Headers

from regbroker.protocol.header_list import LOWER, HeaderList
from regbroker.protocol.headers import Header, raw_headers
from regbroker.transport.server.reply_heads import (
    OF_A_BODY,
    REQUEST_ID,
    SPECIAL,
    WITHOUT_BODY,
    date,
    reply_head,
)
from regbroker.transport.twisted_private.http import RequestInternals


class ReplyingRequest(RequestInternals):
    """A request as what answers it sees it: with a reply that is to be sent."""

    channel: Any
    transport: Any
    queued = False
    _head: Sequence[Header] = ()
    _is_begun = False
    _has_no_body = False

    def __init__(self, channel: Any, *_: Any, **__: Any) -> None:
        # Twisted's makes two `Headers` and more, for which nobody asks here.
        self.channel = channel
        self.transport = channel.transport
        self.notifications = []
        # What each reply asks for: CPython 3.11 is slow where a class has the name.
        #: Whether the client has closed its connection before the end of the reply.
        self.is_gone = False
        #: Whether `responseHeaders` is made; what is set before a reply is there, then.
        self._has_twisted_headers = False
        self._request_id = b""
        self._set: dict[bytes, Header] = {}

    @cached_property
    def responseHeaders(self) -> Headers:  # type: ignore[override]
        """Headers of the reply that are set before it begins."""
        self._has_twisted_headers = True
        made = Headers()
        if self._request_id:
            made.setRawHeaders(REQUEST_ID, [self._request_id])
        for name, value in self._set.values():
            made.setRawHeaders(name, [value])
        return made

    @cached_property
    def cookies(self) -> list[bytes]:  # type: ignore[override]
        """Cookies for the client."""
        return []

    def setHeader(self, name: Any, value: Any) -> None:
        """Set a header of the reply to come."""
        is_bytes = isinstance(name, bytes) and isinstance(value, bytes)
        if is_bytes and not self._has_twisted_headers:
            self._set[LOWER[name]] = name, value
        else:
            super().setHeader(name, value)

    def set_request_id(self, request_id: bytes) -> None:
        """Have the reply say this as its `REQUEST_ID`."""
        self._request_id = request_id
        if self._has_twisted_headers:
            self.responseHeaders.setRawHeaders(REQUEST_ID, [request_id])

    def _headers_before(self) -> Iterable[Header]:
        """Return the headers that were set before a reply."""
        if self._has_twisted_headers:
            return raw_headers(self.responseHeaders)
        return self._set.values()

    def reply_header(self, name: bytes) -> bytes | None:
        """Return the first value of a header of the reply, as far as it is known."""
        return HeaderList((*self._headers_before(), *self._head)).first(LOWER[name])

    def begin(self, status: int, headers: Sequence[Header]) -> None:
        """
        Begin a reply: its head has what was set before, and then these headers.

        They have crossed (`regbroker.protocol.headers.crossing`): nothing is about the
        connection, and nothing is what every reply carries. The head is sent with the
        first byte of the body, or at its end. Without a Content-Length the body goes in
        chunks.
        """
        self.code = status
        self._head, self._is_begun = headers, True

    def send(
        self,
        status: int,
        headers: Sequence[Header],
        body: bytes,
        content_type: bytes | None = None,
    ) -> None:
        """
        Send a whole reply.

        Its headers are as in `begin`, and say everything of the body, its length too.
        With a `content_type` they are regbroker's own, and say nothing of the body.
        """
        self.code = status
        self._head, self._is_begun = headers, True
        if self.is_gone:
            self.finish()
            return
        about_body = []
        if content_type is not None:
            about_body.append(b"Content-Type: " + content_type)
            about_body.append(b"Content-Length: %d" % len(body))
        self._write_head(body, about_body, is_whole=True)
        self._end()

    def write(self, data: bytes) -> None:
        """Write a part of the body; a reply to HEAD has none."""
        if self.startedWriting:
            if not self._has_no_body:
                super().write(data)
        elif not self._is_begun:
            if not self.responseHeaders.hasHeader(b"Date"):
                self.responseHeaders.setRawHeaders(b"Date", [date()])
            super().write(data)
        elif not self.is_gone:
            self._write_head(data)

    def _write_head(
        self, data: bytes, about_body: Sequence[bytes] = (), is_whole: bool = False
    ) -> None:
        """
        Write the head, and what is here of the body: all of it if it `is_whole`.

        `about_body` are lines that say what a body of our own is.
        """
        self.startedWriting = 1
        channel, version = self.channel, self.clientproto
        has_no_body = self.method == b"HEAD" or self.code in WITHOUT_BODY
        fields, options, has_length = [], [], is_whole
        before, crossed = self._headers_before(), self._head
        if about_body:
            before, crossed = (*before, *crossed), ()
        for field in before:
            special = SPECIAL[field[0]]
            if special is None:
                fields.append(b": ".join(field))
            elif special == b"connection":
                options.append(field[1])
            elif special in OF_A_BODY and not about_body:
                has_length = has_length or special == b"content-length"
                fields.append(b": ".join(field))
        if self._request_id and not self._has_twisted_headers:
            fields.append(b"%b: %b" % (REQUEST_ID, self._request_id))
        fields += map(b": ".join, crossed)
        fields += about_body
        if channel.ends_with_reply(options):
            options = [b"close"]
        if options:
            fields += [b"Connection: " + option for option in options]
        if has_no_body:
            self._has_no_body = True
            head = reply_head(version, self.code, fields)
            channel.transport.writeSequence((head,))
        elif (
            has_length
            or version != b"HTTP/1.1"
            or HeaderList(crossed).first(b"content-length") is not None
        ):
            self.sentLength = len(data)
            head = reply_head(version, self.code, fields)
            channel.transport.writeSequence((head, data))
        else:
            self.chunked = 1
            fields.append(b"Transfer-Encoding: chunked")
            channel.write(reply_head(version, self.code, fields))
            self.write(data)

    def finish(self) -> None:
        """End the reply, and have the channel go on."""
        if self.is_gone or self.finished or self.producer or not self._is_begun:
            # Twisted ends what was begun in its way, and complains about the rest.
            super().finish()
            return
        if not self.startedWriting:
            self.write(b"")
        if self.chunked:
            self.channel.write(b"0\r\n\r\n")
        self._end()

    def _end(self) -> None:
        """Have the channel go on, and tell who waits for the end."""
        self.finished = 1
        self.channel.requestDone(self)
        del self.channel
        if self.notifications:
            notifications, self.notifications = self.notifications, []
            for each in notifications:
                each.callback(None)
