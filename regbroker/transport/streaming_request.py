"""A request that is handed over when its headers are in, with a body that streams."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.server import Request

from regbroker.causes import Cause
from regbroker.errors import HTTPError
from regbroker.protocol.header_list import LOWER, HeaderList, ReceivedHeaders
from regbroker.protocol.headers import Header, raw_headers
from regbroker.transport.malformed import OUTCOME
from regbroker.transport.reply_heads import WITHOUT_BODY, date, reply_head
from regbroker.transport.request_bodies import ClientGone, StreamedBody
from regbroker.transport.twisted_private import is_disconnected

_ABSOLUTE_TARGET = re.compile(rb"https?://([^/?#]+)([/?].*)?", re.IGNORECASE)


def received_headers(request: Request) -> ReceivedHeaders:
    """Return the headers of a request, of whatever site."""
    if isinstance(request, StreamingRequest):
        return ReceivedHeaders(request.headers)
    return ReceivedHeaders(raw_headers(request.requestHeaders))


class StreamingRequest(Request):
    """A request that is processed as soon as its headers are in."""

    channel: Any
    body: StreamedBody
    #: What was received. Where it came whole, `requestHeaders` are made of it.
    headers: HeaderList
    queued = False
    _head: HeaderList | None = None
    _has_no_body = False

    def __init__(self, channel: Any, *_: Any, **__: Any) -> None:
        # Twisted's makes two `Headers` and more, for which nobody asks here.
        self.channel = channel
        self.transport = channel.transport
        self.client = channel.getPeer()
        self.host = channel.getHost()
        self.notifications = []
        self._set: dict[bytes, Header] = {}
        Componentized.__init__(self)

    # What is seldom asked for, made when it is.

    @cached_property
    def requestHeaders(self) -> Headers:  # type: ignore[override]
        """The received headers, in Twisted's form."""
        made = Headers()
        for name, value in getattr(self, "headers", ()):
            made.addRawHeader(name, value)
        return made

    @cached_property
    def responseHeaders(self) -> Headers:  # type: ignore[override]
        """Headers of the reply that are set before it begins."""
        made = Headers()
        for name, value in self._set.values():
            made.setRawHeaders(name, [value])
        return made

    @cached_property
    def cookies(self) -> list[bytes]:  # type: ignore[override]
        """Cookies for the client."""
        return []

    @cached_property
    def received_cookies(  # type: ignore[override]
        self,
    ) -> dict[bytes, bytes]:
        """Cookies of the client."""
        received = self.received_cookies = {}
        super().parseCookies()
        return received

    def parseCookies(self) -> None:
        """Leave them alone until somebody asks for one."""

    def process(self) -> None:
        """Have the site's resource answer: at once, if it is the whole site's."""
        self.site = self.channel.site
        answer = getattr(self.site.resource, "answer", None)
        if answer is None:
            super().process()
            return
        try:
            answer(self)
        except Exception:
            self.processingFailed(Failure())

    def setHeader(self, name: Any, value: Any) -> None:
        """Set a header of the reply to come."""
        is_bytes = isinstance(name, bytes) and isinstance(value, bytes)
        if is_bytes and "responseHeaders" not in self.__dict__:
            self._set[LOWER[name]] = name, value
        else:
            super().setHeader(name, value)

    def headers_before(self) -> Sequence[Header]:
        """Return the headers that were set before a reply."""
        if "responseHeaders" in self.__dict__:
            return raw_headers(self.responseHeaders)
        return [*self._set.values()]

    def begin(self, status: int, headers: HeaderList) -> None:
        """
        Begin a reply whose head has these headers, the date, and no others.

        It is sent with the first byte of the body, or at its end. Without a
        Content-Length the body goes in chunks.
        """
        self.code = status
        self._head = headers

    def reply_header(self, name: bytes) -> bytes | None:
        """Return the first value of a header of the reply, as far as it is known."""
        head = HeaderList(self.headers_before()) if self._head is None else self._head
        return head.first(LOWER[name])

    def write(self, data: bytes) -> None:
        """Write a part of the body; a reply to HEAD has none."""
        if self.startedWriting:
            if not self._has_no_body:
                super().write(data)
        elif self._head is None:
            if not self.responseHeaders.hasHeader(b"Date"):
                self.responseHeaders.setRawHeaders(b"Date", [date()])
            super().write(data)
        elif not is_disconnected(self):
            self._write_head(self._head, data)

    def _write_head(self, headers: HeaderList, data: bytes) -> None:
        self.startedWriting = 1
        self._has_no_body = self.method == b"HEAD" or self.code in WITHOUT_BODY
        has_length, options = False, []
        fields = [(b"Date", date())]
        for field in headers:
            lower = LOWER[field[0]]
            if lower == b"connection":
                options.append(field)
                continue
            has_length = has_length or lower == b"content-length"
            fields.append(field)
        if self.channel.ends_with_reply([value for _, value in options]):
            options = [(b"Connection", b"close")]
        fields += options
        if not (has_length or self._has_no_body or self.clientproto != b"HTTP/1.1"):
            self.chunked = 1
            fields.append((b"Transfer-Encoding", b"chunked"))
        head = reply_head(self.clientproto, self.code, fields)
        if self._has_no_body or self.chunked:
            self.channel.write(head)
            self.write(data)
        else:
            self.sentLength = len(data)
            self.channel.writeSequence((head, data))

    def gotLength(self, length: int | None) -> None:
        """Start processing; `length` is None for a chunked body."""
        self.body = StreamedBody(self.channel, length)
        self._channel_of_body = self.channel
        expect = self.headers.first(b"expect")
        if expect is not None:
            # Taken out, so that the channel does not answer it before anybody has
            # looked at the request, and because it is not for the next hop.
            self.requestHeaders.removeHeader(b"Expect")
            self.headers = self.headers.without(b"expect")
        if not self.body.complete:
            expected = expect.lower() if expect else b""
            self.body.expects_continue = expected == b"100-continue"
            self.channel.watch(self.body)
            self._begin(*self.channel.request_line)

    def handleContentChunk(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self.body.received(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Note the end of the body; without a body, start processing."""
        if self.body.length == 0:
            self._begin(command, path, version)
        else:
            # After an early reply the request has let go of its channel.
            channel = self._channel_of_body
            self.body.finished()
            channel.body_finished(self)

    def connectionLost(self, reason: Failure) -> None:
        """Fail the body and everybody who waits for this request's end."""
        # A client may leave before its headers are in.
        if hasattr(self, "body"):
            gone, error = ClientGone(), reason.value
            if isinstance(error, HTTPError):
                # It broke HTTP in the middle, and the channel answers that.
                gone = ClientGone(
                    OUTCOME + error.message, Cause.CLIENT_MALFORMED, error.status
                )
            reason = Failure(gone)
            self.body.failed(reason)
        super().connectionLost(reason)

    def _begin(self, method: bytes, uri: bytes, version: bytes) -> None:
        absolute = _ABSOLUTE_TARGET.fullmatch(uri)
        if absolute is not None:
            # RFC 9112, 3.2.2: what the target names counts, not the Host header.
            self.requestHeaders.setRawHeaders(b"Host", [absolute[1]])
            self.headers = self.headers.without(b"host")
            self.headers.append((b"Host", absolute[1]))
            uri = absolute[2] or b"/"
        elif uri == b"*":
            # Twisted would answer this one itself, and not in JSON.
            uri = b"/*"
        self.method, self.uri, self.clientproto = method, uri, version
        self.path = uri.split(b"?", 1)[0]
        # Resources parse what they need of the query and of forms, from bytes.
        self.args = {}
        self.process()
