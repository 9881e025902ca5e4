"""
Twisted's interface of an HTTP client, `IAgent`, on our own connections.

What libraries such as treq add works on top of it. One thing is kept from them: they
unpack a reply without a bound, so its ``Content-Encoding`` has another name here.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    UNKNOWN_LENGTH,
    IAgent,
    IBodyProducer,
    IClientRequest,
    IResponse,
)
from zope.interface import implementer

from regbroker.errors import UpstreamMalformed
from regbroker.protocol.headers import raw_headers
from regbroker.protocol.urls import parse_url
from regbroker.transport.client.bytes_body import BytesBody
from regbroker.transport.client.reply import Reply
from regbroker.upstream.origin_pools import OriginPools

#: Carries what a reply's ``Content-Encoding`` says; empty where it says nothing.
PACKED = b"X-Regbroker-Packed"


@implementer(IAgent)
class PooledAgent:
    """Sends requests over the connections of some pools."""

    def __init__(self, pools: OriginPools) -> None:
        self._pools = pools

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        Send a request; fires with the reply when its headers are in.

        A body is a `BytesBody`. A cancelled request ends its connection. Fails as
        `ConnectionPool.request`, and with `UpstreamMalformed` when `uri` is no URL of
        HTTP.
        """
        assert bodyProducer is None or isinstance(bodyProducer, BytesBody)
        asked = _Asked(method, uri, Headers() if headers is None else headers)
        url = parse_url(uri.decode("latin-1"))
        if url is None:
            problem = "a request is sent to what is no URL of HTTP"
            return fail(UpstreamMalformed(problem))
        sent = self._pools.pool(url.origin).request(
            method, url.target.encode("ascii"), raw_headers(asked.headers), bodyProducer
        )
        replied: Deferred[Any] = sent.deferred()
        return replied.addCallback(_Response, asked)


@implementer(IClientRequest)
class _Asked:
    """A request as `IResponse` shows it."""

    def __init__(self, method: bytes, uri: bytes, headers: Headers) -> None:
        self.method = method
        self.absoluteURI = uri
        self.headers = headers


@implementer(IResponse)
class _Response:
    """A reply, as an `IResponse`."""

    version = (b"HTTP", 1, 1)
    #: Nobody reads it, and `Reply` does not keep it.
    phrase = b""

    def __init__(self, reply: Reply, request: IClientRequest) -> None:
        self.code = reply.status
        self.headers = Headers()
        packed = []
        for name, value in reply.headers:
            if name.lower() == b"content-encoding":
                packed.append(value)
            else:
                self.headers.addRawHeader(name, value)
        self.headers.setRawHeaders(PACKED, [b",".join(packed)])
        self.length: Any = UNKNOWN_LENGTH if reply.length is None else reply.length
        self.request = request
        self.previousResponse: IResponse | None = None
        self._reply = reply

    def deliverBody(self, protocol: IProtocol) -> None:
        """Send the body to a protocol, packed as it comes."""
        delivery: Any = _Delivery(self._reply, protocol)
        protocol.makeConnection(delivery)
        self._reply.deliver(delivery)

    def setPreviousResponse(self, response: IResponse) -> None:
        """Note the reply that has redirected to this one."""
        self.previousResponse = response


@implementer(IPushProducer)
class _Delivery:
    """Gives a reply's body to a protocol, and is the transport of that."""

    disconnecting = False

    def __init__(self, reply: Reply, protocol: IProtocol) -> None:
        self._reply = reply
        self._protocol = protocol

    def body_received(self, data: bytes) -> None:
        self._protocol.dataReceived(data)

    def body_ended(self) -> None:
        self._protocol.connectionLost(Failure(ResponseDone()))

    def body_broken(self, error: Exception) -> None:
        self._protocol.connectionLost(Failure(error))

    # What the protocol does with its transport.

    def pauseProducing(self) -> None:
        self._reply.pauseProducing()

    def resumeProducing(self) -> None:
        self._reply.resumeProducing()

    def stopProducing(self) -> None:
        self._reply.abort()

    def loseConnection(self) -> None:
        self._reply.abort()
