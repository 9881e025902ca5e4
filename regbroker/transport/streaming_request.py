"""A request that is handed over when its headers are in, with a body that streams."""

from __future__ import annotations

import re
from typing import Any

from twisted.python.failure import Failure
from twisted.web.server import Request

from regbroker.causes import Cause
from regbroker.errors import HTTPError
from regbroker.transport.malformed import OUTCOME
from regbroker.transport.request_bodies import ClientGone, StreamedBody

_ABSOLUTE_TARGET = re.compile(rb"https?://([^/?#]+)([/?].*)?", re.IGNORECASE)


class StreamingRequest(Request):
    """A request that is processed as soon as its headers are in."""

    channel: Any
    body: StreamedBody

    def gotLength(self, length: int | None) -> None:
        """Start processing; `length` is None for a chunked body."""
        self.content = None
        self.body = StreamedBody(self.channel, length)
        self._channel_of_body = self.channel
        expect = self.requestHeaders.getRawHeaders(b"Expect", [b""])[0]
        # Taken out, so that the channel does not answer it before anybody has
        # looked at the request, and because it is not for the next hop.
        self.requestHeaders.removeHeader(b"Expect")
        if not self.body.complete:
            self.body.expects_continue = expect.lower() == b"100-continue"
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
            uri = absolute[2] or b"/"
        elif uri == b"*":
            # Twisted would answer this one itself, and not in JSON.
            uri = b"/*"
        self.method, self.uri, self.clientproto = method, uri, version
        self.path = uri.split(b"?", 1)[0]
        # Resources parse what they need of the query and of forms, from bytes.
        self.args = {}
        self.process()
