"""A request that is handed over when its headers are in, with a body that streams."""

from __future__ import annotations

import re
from functools import cached_property

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.server import Request

from regbroker.causes import Cause
from regbroker.errors import BadRequest, HTTPError
from regbroker.protocol.fields import problem_with_request
from regbroker.protocol.header_list import ReceivedHeaders
from regbroker.protocol.headers import raw_headers
from regbroker.transport.server.malformed import OUTCOME
from regbroker.transport.server.page_request import PageRequest
from regbroker.transport.server.replying_request import ReplyingRequest
from regbroker.transport.server.request_bodies import ClientGone, StreamedBody
from regbroker.transport.server.whole_site import WholeSite

_ABSOLUTE_TARGET = re.compile(rb"https?://([^/?#]+)([/?].*)?", re.IGNORECASE)


def received_headers(request: Request) -> ReceivedHeaders:
    """
    Return the headers of a request, of whatever site.

    Raises `BadRequest` for those of another site that make no sense. Our own channel
    has looked already.
    """
    if isinstance(request, StreamingRequest):
        return request.headers
    headers = ReceivedHeaders(raw_headers(request.requestHeaders))
    problem = problem_with_request(headers)
    if problem is not None:
        raise BadRequest(problem)
    return headers


class StreamingRequest(ReplyingRequest, PageRequest):
    """A request that is processed as soon as its headers are in."""

    body: StreamedBody
    #: What was received. Where it came whole, `requestHeaders` are made of it.
    headers: ReceivedHeaders

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
