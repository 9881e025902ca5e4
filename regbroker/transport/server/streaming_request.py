"""A request that is handed over when its headers are in, with a body that streams."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.server import Request

from regbroker.causes import Cause
from regbroker.errors import HTTPError
from regbroker.protocol.header_list import LOWER, HeaderList, ReceivedHeaders
from regbroker.protocol.headers import Header, raw_headers
from regbroker.transport.server.malformed import OUTCOME
from regbroker.transport.server.page_request import PageRequest
from regbroker.transport.server.reply_heads import (
    OF_A_BODY,
    SPECIAL,
    WITHOUT_BODY,
    date,
    reply_head,
)
from regbroker.transport.server.request_bodies import ClientGone, StreamedBody
from regbroker.transport.server.whole_site import WholeSite

_ABSOLUTE_TARGET = re.compile(rb"https?://([^/?#]+)([/?].*)?", re.IGNORECASE)


def received_headers(request: Request) -> ReceivedHeaders:
    """Return the headers of a request, of whatever site."""
    if isinstance(request, StreamingRequest):
        return request.headers
    return ReceivedHeaders(raw_headers(request.requestHeaders))


class StreamingRequest(PageRequest):
    """A request that is processed as soon as its headers are in."""

    channel: Any
    transport: Any
    body: StreamedBody
    #: What was received. Where it came whole, `requestHeaders` are made of it.
    headers: ReceivedHeaders
    queued = False
    #: Whether the client has closed its connection before the end of the reply.
    is_gone = False
    _head: Sequence[Header] = ()
    _is_begun = False
    _has_no_body = False
    #: Whether `responseHeaders` is made; what is set before a reply is there, then.
    _has_twisted_headers = False

    def __init__(self, channel: Any, *_: Any, **__: Any) -> None:
        # Twisted's makes two `Headers` and more, for which nobody asks here.
        self.channel = channel
        self.transport = channel.transport
        self.notifications = []
        self._set: dict[bytes, Header] = {}

    # What is seldom asked for, made when it is.

    @cached_property
    def client(self) -> IAddress:
        """The client's address."""
        peer: IAddress = self.transport.getPeer()
        return peer

    @cached_property
    def host(self) -> IAddress:
        """The address that the client has connected to."""
        here: IAddress = self.transport.getHost()
        return here

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
        self._has_twisted_headers = True
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
        resource = self.site.resource
        if not isinstance(resource, WholeSite):
            super().process()
            return
        try:
            resource.answer(self)
        except Exception:
            self.processingFailed(Failure())

    def setHeader(self, name: Any, value: Any) -> None:
        """Set a header of the reply to come."""
        is_bytes = isinstance(name, bytes) and isinstance(value, bytes)
        if is_bytes and not self._has_twisted_headers:
            self._set[LOWER[name]] = name, value
        else:
            super().setHeader(name, value)

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

        What every reply carries comes first, and is left out of these. The head is
        sent with the first byte of the body, or at its end. Without a Content-Length
        the body goes in chunks.
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

        Its headers are as in `begin`. With a `content_type`, they say nothing of the
        body; else they say everything.
        """
        self.code = status
        self._head, self._is_begun = headers, True
        if not self.is_gone:
            self._write_head(body, content_type)
        self.finish()

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

    def _write_head(self, data: bytes, content_type: bytes | None = None) -> None:
        self.startedWriting = 1
        self._has_no_body = self.method == b"HEAD" or self.code in WITHOUT_BODY
        has_length = content_type is not None
        fields, options = [], []
        for field in (*self._headers_before(), *self._head):
            special = SPECIAL[field[0]]
            if special is None:
                fields.append(b": ".join(field))
            elif special == b"connection":
                options.append(field[1])
            elif special in OF_A_BODY and content_type is None:
                has_length = has_length or special == b"content-length"
                fields.append(b": ".join(field))
        if content_type is not None:
            fields.append(b"Content-Type: " + content_type)
            fields.append(b"Content-Length: %d" % len(data))
        if self.channel.ends_with_reply(options):
            options = [b"close"]
        if options:
            fields += [b"Connection: " + option for option in options]
        if not (has_length or self._has_no_body or self.clientproto != b"HTTP/1.1"):
            self.chunked = 1
            fields.append(b"Transfer-Encoding: chunked")
        head = reply_head(self.clientproto, self.code, fields)
        if self._has_no_body or self.chunked:
            self.channel.write(head)
            self.write(data)
        else:
            self.sentLength = len(data)
            self.channel.transport.writeSequence((head, data))

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
        self.finished = 1
        self.channel.requestDone(self)
        del self.channel
        if self.notifications:
            notifications, self.notifications = self.notifications, []
            for each in notifications:
                each.callback(None)

    def gotLength(self, length: int | None) -> None:
        """Start processing; `length` is None for a chunked body."""
        self.body = StreamedBody(self.channel, length)
        self._channel_of_body = self.channel
        expect = self.headers.first(b"expect")
        if expect is not None:
            # Taken out, so that the channel does not answer it before anybody has
            # looked at the request, and because it is not for the next hop.
            self.requestHeaders.removeHeader(b"Expect")
            self.headers = ReceivedHeaders(self.headers.without(b"expect"))
        if not self.body.complete:
            method, uri, version = self.channel.request_line
            expected = expect.lower() if expect else b""
            # RFC 9110, 10.1.1: to HTTP/1.0 a 100 would be the reply.
            self.body.expects_continue = (
                expected == b"100-continue" and version == b"HTTP/1.1"
            )
            self.channel.watch(self.body)
            self.start(method, uri, version)

    def handleContentChunk(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self.body.received(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Note the end of the body; without a body, start processing."""
        if self.body.length == 0:
            self.start(command, path, version)
        else:
            # After an early reply the request has let go of its channel.
            channel = self._channel_of_body
            self.body.finished()
            channel.body_finished(self)

    def connectionLost(self, reason: Failure) -> None:
        """Fail the body and everybody who waits for this request's end."""
        self.is_gone = True
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

    def start(self, method: bytes, uri: bytes, version: bytes) -> None:
        """Have the request answered: all of its headers are here."""
        if uri[:1] != b"/":
            uri = self._relative(uri)
        self.method, self.uri, self.clientproto = method, uri, version
        self.path = uri.split(b"?", 1)[0]
        # Resources that stream parse what they need of the query, from bytes.
        self.args = {}
        self.process()

    def _relative(self, uri: bytes) -> bytes:
        """Return path and query of a target, and note the host that it names."""
        absolute = _ABSOLUTE_TARGET.fullmatch(uri)
        if absolute is not None:
            # RFC 9112, 3.2.2: what the target names counts, not the Host header.
            host = absolute[1]
            self.requestHeaders.setRawHeaders(b"Host", [host])
            others = self.headers.without(b"host")
            self.headers = ReceivedHeaders([*others, (b"Host", host)])
            return absolute[2] or b"/"
        # Twisted would answer this one itself, and not in JSON.
        return b"/*" if uri == b"*" else uri
