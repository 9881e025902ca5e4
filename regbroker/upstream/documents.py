"""
Small documents over HTTP, asked for with treq.

What token services and search services answer is small, and treq knows forms,
encodings and bounds. What it does beyond that is kept from it: it follows no
redirect, and its cookies end with each call.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hyperlink import URL
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers

from regbroker.causes import Cause, Kind, cause_of
from regbroker.errors import UpstreamMalformed
from regbroker.protocol.bodies import decode_content
from regbroker.protocol.origins import Origin
from regbroker.protocol.urls import parse_url
from regbroker.runtime.reactor import INetworkReactor
from regbroker.runtime.slots import Slots
from regbroker.transport.bytes_body import BytesBody
from regbroker.transport.client import ConnectionPool
from regbroker.transport.client_errors import converted_error
from regbroker.transport.trust import Trust
from regbroker.upstream.agent import PACKED, PooledAgent
from regbroker.upstream.guarded_endpoint import guarded_endpoint
from regbroker.upstream.origin_pools import OriginPools
from regbroker.upstream.own_requests import USER_AGENT

#: Questions that are under way at once, and those that wait for that.
MAX_AT_ONCE = 64
MAX_WAITING = 1024

#: A service has one origin; it may get another one while regbroker runs.
MAX_ORIGINS = 4


@dataclass(frozen=True)
class Document:
    """What a server has answered; `body` is no longer than was agreed."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, or None."""
        values = self.headers.getRawHeaders(name)
        return values[0] if values else None


class Documents:
    """
    Asks for documents, over connections that are kept.

    `what` says who is asked, for people. `max_bytes` bounds a document's body,
    unpacked. `clock` is the reactor; `connect_timeout` is in seconds. With
    `named_hosts`, other hosts are asked at public addresses alone, and `advice` says
    what to write for others.
    """

    def __init__(
        self,
        what: str,
        max_bytes: int,
        trust: Trust,
        connect_timeout: float,
        clock: INetworkReactor,
        named_hosts: Collection[str] | None = None,
        advice: str = "",
    ) -> None:
        self._what = what
        self._max_bytes = max_bytes
        self._trust = trust
        self._connect_timeout = connect_timeout
        self._clock = clock
        self._slots = Slots(MAX_AT_ONCE, MAX_WAITING, what)
        self._named_hosts = named_hosts
        self._advice = advice
        self._pools = OriginPools(self._new_pool, MAX_ORIGINS)
        self._agent = PooledAgent(self._pools)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pools.close()

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
        place = parse_url(url)
        if place is None:
            raise UpstreamMalformed(
                f"the address of {self._what} is no URL",
                cause=cause_of(self._what, Kind.MALFORMED),
            )
        # A client of its own for each call: treq keeps cookies on it.
        client = HTTPClient(self._agent, data_to_body_producer=BytesBody)
        try:
            response = await client.request(
                method,
                _Written.from_text(url),
                headers=Headers({USER_AGENT[0]: [USER_AGENT[1]], **(headers or {})}),
                data=form,
                allow_redirects=False,
                unbuffered=True,
            )
            body = await self._read(response)
            packed = response.headers.getRawHeaders(PACKED, [""])[0]
            # Bounded while it is unpacked: it may be much larger then.
            plain = decode_content(body, str(packed), self._max_bytes)
        except Exception as error:
            raise converted_error(error, place.origin, self._what) from error
        return Document(response.code, response.headers, plain)

    async def _read(self, response: Any) -> bytes:
        body = _Body(self._what, self._max_bytes)
        # treq's own collector goes on when nobody wants the body any more.
        response.deliverBody(body)
        return await body.finished

    def _new_pool(self, origin: Origin) -> ConnectionPool:
        timeout = self._connect_timeout
        if self._named_hosts is None:
            endpoint = self._trust.endpoint(self._clock, origin, timeout)
        else:
            endpoint = guarded_endpoint(
                self._clock,
                self._trust,
                origin,
                self._named_hosts,
                timeout,
                self._advice,
            )
        return ConnectionPool(
            self._clock,
            origin,
            endpoint,
            timeout,
            self._what,
            self._slots,
        )


class _Written(URL):
    """
    A URL that is asked for as it is written: `parse_url` has let it through.

    treq takes every host for a name, and there is no name such as ``::1``.
    """

    def to_uri(self) -> _Written:
        return self


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
        if reason.check(ResponseDone):
            self.finished.callback(b"".join(self._chunks))
        else:
            self.finished.errback(reason)

    def _hang_up(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()
