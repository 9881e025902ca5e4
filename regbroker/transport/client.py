"""
Connections to one upstream: kept warm, used for one request at a time.

Built on the HTTP/1.1 client protocol below `twisted.web.client.Agent`, and not
on `Agent` itself, for what a relay must know and `Agent` does not tell:

- An upstream may answer before the request's body is out (401, 413). Twisted
  pauses the connection when the reply's headers are in and waits for the
  request to be written, which then never happens. Here such a reply is read to
  its end, and the connection given up.
- ``100 Continue`` from the upstream is the moment at which our client should
  hear it.
- A request that fails on a kept connection is sent once more on a new one, POST
  included: the upstream has closed the connection while it was idle. A body that
  streams cannot be sent twice, and is not given to a connection that was idle for
  long.
- A reply that ends with its connection is complete only when that connection
  was closed in order.
- The request target is written byte for byte.
- A connection is used for `MAX_AGE_SECONDS`, so that a changed DNS answer counts.
- A header with a control character is no header (RFC 9110, 5.5): some client behind
  us would see two in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.web.client import RequestTransmissionFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer

from regbroker.causes import Cause
from regbroker.errors import UpstreamMalformed
from regbroker.protocol.headers import Header
from regbroker.protocol.origins import Origin
from regbroker.runtime.slots import Slots
from regbroker.transport.bytes_body import BytesBody
from regbroker.transport.client_errors import UPSTREAM, converted_error, was_cancelled
from regbroker.transport.client_protocol import UpstreamProtocol
from regbroker.transport.client_reply import Reply
from regbroker.transport.twisted_private import ClientRequest, RequestNotSent

#: Requests that are under way at once, and those that wait for that. More would only
#: wait in the upstream.
MAX_BUSY_CONNECTIONS = 512
MAX_WAITING_REQUESTS = 1024

#: Idle connections kept; more would only be opened again under load.
MAX_IDLE_CONNECTIONS = 64

#: Below the idle timeouts of common balancers (60 s), so that we close first.
IDLE_SECONDS = 50.0

#: A connection in constant use would lead to the same address for ever. After this
#: long a new one is made, and with it the name is resolved again.
MAX_AGE_SECONDS = 60.0

#: Servers close idle connections after 5 s at the earliest.
IDLE_SECONDS_FOR_BODIES = 4.0

#: The request got no byte of an answer.
_NEVER_ANSWERED = (RequestNotSent, RequestTransmissionFailed, ResponseNeverReceived)

_log = Logger()


class _UpstreamFactory(Factory):
    noisy = False


class ConnectionPool:
    """
    The connections to one origin.

    `clock` is an `IReactorTime`; `connect_timeout` bounds, in seconds, the TCP
    connection and, again, the TLS handshake. `what` names the server, for people.
    `slots` are the places that its requests take: its own, unless they are given.
    """

    def __init__(
        self,
        clock: IReactorTime,
        origin: Origin,
        endpoint: IStreamClientEndpoint,
        connect_timeout: float,
        what: str = UPSTREAM,
        slots: Slots | None = None,
    ) -> None:
        self._clock = clock
        self._origin = origin
        self._endpoint = endpoint
        self._connect_timeout = connect_timeout
        self._what = what
        self._idle: list[UpstreamProtocol] = []
        self._slots = slots or Slots(MAX_BUSY_CONNECTIONS, MAX_WAITING_REQUESTS, what)
        self._spills = False
        self._sweeping: IDelayedCall | None = None

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Iterable[Header],
        body: IBodyProducer | None = None,
        on_continue: Callable[[], None] | None = None,
    ) -> Reply:
        """
        Send a request, and return the reply when its headers are in.

        `on_continue` is called when the upstream says ``100 Continue``. Raises
        `UpstreamUnavailable`, `UpstreamTimeout` or `UpstreamMalformed`; what
        `body` fails with, when the body is what failed.
        """
        wire_headers = Headers()
        wire_headers.addRawHeader(b"Host", self._origin.netloc.encode())
        for name, value in headers:
            wire_headers.addRawHeader(name, value)
        request = ClientRequest(method, target, wire_headers, body, persistent=True)
        is_repeatable = body is None or isinstance(body, BytesBody)
        max_idle = IDLE_SECONDS if is_repeatable else IDLE_SECONDS_FOR_BODIES
        slot = await self._slots.take()
        try:
            connection = self._take(max_idle) or await self._connect()
            while True:
                was_kept = connection.used
                connection.begin(on_continue, slot)
                answer = connection.request(request)
                parser = connection.bound_headers()
                try:
                    response = await answer
                    break
                except Exception as error:
                    if connection.too_large:
                        raise UpstreamMalformed(
                            f"{self._what} sent {connection.too_large}",
                            cause=Cause.BOUND_REACHED,
                        ) from error
                    # The server has closed the connection while it was idle.
                    was_stale = was_kept and isinstance(error, _NEVER_ANSWERED)
                    if not was_stale or not is_repeatable or was_cancelled(error):
                        raise
                # The place went with the connection.
                slot = self._slots.again()
                connection = await self._connect()
            assert parser is not None
            return Reply(response, connection, parser, self._what)
        except BaseException as error:
            slot.free()
            if not isinstance(error, Exception):
                raise
            raise converted_error(error, self._origin, self._what) from error

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for connection in self._idle:
            connection.transport.abortConnection()
        self._idle.clear()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def _take(self, max_idle: float) -> UpstreamProtocol | None:
        # The one that came back last is the one that is surely still open.
        while self._idle:
            connection = self._idle.pop()
            now = self._clock.seconds()
            idle = now - connection.idle_since
            is_young = now - connection.opened <= MAX_AGE_SECONDS
            if connection.state == "QUIESCENT" and idle <= max_idle and is_young:
                return connection
            connection.transport.loseConnection()
        return None

    async def _connect(self) -> UpstreamProtocol:
        connection: Any = await self._endpoint.connect(
            _UpstreamFactory.forProtocol(
                lambda: UpstreamProtocol(self._put, self._note_spilling, self._clock)
            )
        )
        if self._origin.scheme == "http":
            connection.handshakeCompleted()
        else:
            try:
                await connection.secured.addTimeout(self._connect_timeout, self._clock)
            except BaseException:
                connection.transport.abortConnection()
                raise
        checked: UpstreamProtocol = connection
        checked.opened = self._clock.seconds()
        return checked

    def _note_spilling(self) -> None:
        if not self._spills:
            self._spills = True
            _log.warn(
                "{what}, {origin}: it sends bytes after its replies that are no part "
                "of them; its connections are not kept after HEAD, 204 and 304",
                what=self._what,
                origin=str(self._origin),
            )

    def _put(self, connection: UpstreamProtocol) -> None:
        connection.free()
        if connection.spills or (self._spills and connection.was_bodiless):
            # What comes next on it may belong to what was before.
            connection.transport.abortConnection()
            return
        connection.idle_since = self._clock.seconds()
        self._idle.append(connection)
        if len(self._idle) > MAX_IDLE_CONNECTIONS:
            self._idle.pop(0).transport.loseConnection()
        if self._sweeping is None:
            self._sweeping = self._clock.callLater(IDLE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now = self._clock.seconds()
        old = [c for c in self._idle if now - c.idle_since >= IDLE_SECONDS]
        self._idle = [c for c in self._idle if c not in old and c.state == "QUIESCENT"]
        for connection in old:
            connection.transport.loseConnection()
        if self._idle:
            self._sweeping = self._clock.callLater(IDLE_SECONDS / 2, self._sweep)
