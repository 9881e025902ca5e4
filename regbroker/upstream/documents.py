"""
Small documents over HTTP, asked for with treq.

What token services and search services answer is small, and treq knows forms,
encodings and bounds. What it does beyond that is kept from it: it follows no
redirect, and its cookies end with each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    ResponseDone,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IResponse
from zope.interface import implementer

from regbroker.causes import Cause, Kind, cause_of
from regbroker.errors import UpstreamMalformed
from regbroker.protocol.bodies import decode_content
from regbroker.protocol.origins import Origin, parse_origin
from regbroker.runtime.reactor import INetworkReactor
from regbroker.runtime.slots import Slots
from regbroker.transport.client_errors import converted_error, was_cancelled
from regbroker.transport.reply_headers import check_headers
from regbroker.transport.trust import Trust
from regbroker.transport.twisted_private import ClientInternals, use_connections
from regbroker.upstream.own_requests import USER_AGENT

#: Questions to one server that are under way at once, and those that wait for that.
MAX_AT_ONCE = 64
MAX_WAITING = 1024

_PACKED = "X-Regbroker-Packed"


@dataclass(frozen=True)
class Document:
    """What a server has answered; `body` is no longer than was agreed."""

    status: int
    headers: Headers
    body: bytes


class Documents:
    """
    Asks for documents, over connections that are kept.

    `what` says who is asked, for people. `max_bytes` bounds a document's body,
    unpacked. `clock` is the reactor; `connect_timeout` is in seconds.
    """

    def __init__(
        self,
        what: str,
        max_bytes: int,
        trust: Trust,
        connect_timeout: float,
        clock: INetworkReactor,
    ) -> None:
        self._what = what
        self._max_bytes = max_bytes
        pool = HTTPConnectionPool(clock)
        use_connections(pool, _Connection)
        pool.maxPersistentPerHost = 8
        pool.cachedConnectionTimeout = 30
        endpoints = _Endpoints(what, trust, connect_timeout, clock)
        agent = Agent.usingEndpointFactory(clock, endpoints, pool)
        self._agent: IAgent = _PackedAgent(agent)
        self._slots = Slots(MAX_AT_ONCE, MAX_WAITING, what)
        self._pool = pool

    def close(self) -> Deferred[Any]:
        """Close the kept connections; fires when they are closed."""
        closing: Deferred[Any] = self._pool.closeCachedConnections()
        return closing

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[bytes, list[bytes]] | None = None,
        form: bytes | None = None,
    ) -> Document:
        """
        Send a request, and return what comes back, whatever its status.

        `form` is the request's body. A request may be sent twice: nothing is to
        be asked here that changes something. Raises `UpstreamError`.
        """
        parts = urlsplit(url)
        origin = _origin(parts.scheme, parts.netloc, self._what)
        wire_headers = Headers({USER_AGENT[0]: [USER_AGENT[1]], **(headers or {})})

        async def once() -> Document:
            # A client of its own for each call: treq keeps cookies on it.
            response = await HTTPClient(self._agent).request(
                method,
                url,
                headers=wire_headers,
                data=form,
                allow_redirects=False,
                unbuffered=True,
            )
            body = await self._read(response)
            check_headers(response.headers)
            packed = response.headers.getRawHeaders(_PACKED, [""])[0]
            # Bounded while it is unpacked: it may be much larger then.
            plain = decode_content(body, str(packed), self._max_bytes)
            return Document(response.code, response.headers, plain)

        slot = await self._slots.take()
        try:
            try:
                return await once()
            except ResponseNeverReceived as error:
                # A kept connection that the server has closed. Twisted sees to
                # it for GET; asking for a document twice harms nobody.
                if was_cancelled(error):
                    raise
                return await once()
        except Exception as error:
            raise converted_error(error, origin, self._what) from error
        finally:
            slot.free()

    async def _read(self, response: Any) -> bytes:
        body = _Body(self._what, self._max_bytes)
        # treq's own collector goes on when nobody wants the body any more.
        response.deliverBody(body)
        return await body.finished


class _Body(Protocol):
    """Gathers a body; who is cancelled hangs up."""

    def __init__(self, what: str, max_bytes: int) -> None:
        self.finished: Deferred[bytes] = Deferred(lambda _: self._hang_up())
        self._what = what
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._max_bytes:
            self._chunks.append(data)
        elif not self.finished.called:
            self.finished.errback(
                UpstreamMalformed(
                    f"{self._what} sent more than {self._max_bytes} bytes",
                    cause=Cause.BOUND_REACHED,
                )
            )
            self._hang_up()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.finished.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.finished.callback(b"".join(self._chunks))
        else:
            self.finished.errback(reason)

    def _hang_up(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()


class _Connection(ClientInternals):
    """A connection that ends with a reply after which there are other bytes."""

    def reply_complete(self, rest: bytes) -> None:
        """End the connection, if bytes came that are no part of the reply."""
        if rest:
            # They would be read as the answer to the next question.
            self.end_after_reply()


@implementer(IAgent)
class _PackedAgent:
    """
    Keeps treq from unpacking replies: it does so without a bound.

    What a reply's ``Content-Encoding`` says stands in `_PACKED` instead.
    """

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(self, *args: Any, **kwargs: Any) -> Deferred[IResponse]:
        """Send a request, as `IAgent.request`."""
        answering: Deferred[IResponse] = self._agent.request(*args, **kwargs)
        return answering.addCallback(self._hide)

    def _hide(self, response: IResponse) -> IResponse:
        packed = ",".join(response.headers.getRawHeaders("Content-Encoding", []))
        response.headers.removeHeader("Content-Encoding")
        response.headers.setRawHeaders(_PACKED, [packed])
        return response


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Gives the agent endpoints whose TLS options are made once."""

    def __init__(
        self, what: str, trust: Trust, connect_timeout: float, clock: INetworkReactor
    ) -> None:
        self._what = what
        self._trust = trust
        self._connect_timeout = connect_timeout
        self._clock = clock

    def endpointForURI(self, uri: Any) -> Any:
        host = uri.host.decode("ascii")
        authority = f"[{host}]:{uri.port}" if ":" in host else f"{host}:{uri.port}"
        origin = _origin(uri.scheme.decode("ascii"), authority, self._what)
        return self._trust.endpoint(self._clock, origin, self._connect_timeout)


def _origin(scheme: str, authority: str, what: str) -> Origin:
    origin = parse_origin(scheme, authority)
    if origin is None:
        raise UpstreamMalformed(
            f"the address of {what} is no URL", cause=cause_of(what, Kind.MALFORMED)
        )
    return origin
