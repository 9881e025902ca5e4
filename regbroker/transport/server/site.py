"""
A `twisted.web` site whose requests are handed over when their headers are in.

Twisted's own `Site` gives a request to its resource after the whole body has
arrived, spooled to disk. Here a resource that `streams` is rendered at once, and
`request_body` is what it reads from: with backpressure, and with ``100 Continue`` sent
only when somebody starts to read. Other resources, the pages of an application, get
their requests as in Twisted's site.

The same resources work in a plain `twisted.web.server.Site`; `request_body`
then reads what Twisted has spooled.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.web import http
from twisted.web.resource import IResource
from twisted.web.server import Site

from regbroker.transport.server.failed_tls import FailedTLS
from regbroker.transport.server.malformed import MalformedRequests
from regbroker.transport.server.pace import Pace
from regbroker.transport.server.streaming_channel import StreamingChannel
from regbroker.transport.server.streaming_request import StreamingRequest
from regbroker.transport.server.strict_channel import MAX_HEADERS, MAX_HEADERS_BYTES
from regbroker.transport.server.whole_heads import WholeHeads

DEFAULT_PACE = Pace()


class StreamingSite(Site):
    """A `Site` of streaming requests that speaks HTTP/1.1 alone, at this `pace`."""

    noisy = False
    protocol = StreamingChannel  # type: ignore[assignment]
    requestFactory = StreamingRequest

    def __init__(
        self,
        resource: IResource,
        pace: Pace = DEFAULT_PACE,
        reactor: IReactorTime | None = None,
    ) -> None:
        super().__init__(resource, timeout=pace.silence, reactor=reactor)
        self.pace = pace
        self.malformed = MalformedRequests(self.reactor)
        self.failed_tls = FailedTLS(self.reactor)
        self.heads = WholeHeads(MAX_HEADERS_BYTES, MAX_HEADERS)

    def stopFactory(self) -> None:
        """Log what the log does not have yet."""
        self.malformed.stop()
        self.failed_tls.stop()
        super().stopFactory()

    def acceptableProtocols(self) -> list[bytes]:
        """Offer HTTP/1.1 alone in ALPN: Twisted's HTTP/2 is ten times slower."""
        return [b"http/1.1"]

    def log(self, request: http.Request) -> None:
        """Write no access log here; `regbroker.events` does."""
