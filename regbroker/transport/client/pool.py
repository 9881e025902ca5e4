"""
Connections to one upstream: kept warm, used for one request at a time.

Not built on `twisted.web.client.Agent`, for what a relay must know and `Agent` does
not tell:

- An upstream may answer before the request's body is out (401, 413). Twisted
  waits for the request to be written, which then never happens. Here such a reply is
  read to its end, and the connection given up.
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

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from regbroker.protocol.headers import Header
from regbroker.protocol.origins import Origin
from regbroker.runtime.outcome import Outcome
from regbroker.transport.client.bytes_body import BytesBody
from regbroker.transport.client.connection_queue import ConnectionQueue
from regbroker.transport.client.errors import UPSTREAM
from regbroker.transport.client.protocol import UpstreamProtocol
from regbroker.transport.client.reply import Reply
from regbroker.transport.client.request_writer import IStreamingBody, request_head
from regbroker.transport.client.sent_request import IDLE_SECONDS, SentRequest
from regbroker.transport.client.slots import Slots
from regbroker.transport.flow.stalls import Stalls

#: Requests that are under way at once, and those that wait for that. More would only
#: wait in the upstream.
MAX_BUSY_CONNECTIONS = 512
MAX_WAITING_REQUESTS = 1024

#: Idle connections kept, enough that a herd of clients opens few anew. More would take
#: memory on both sides, and files.
MAX_IDLE_CONNECTIONS = 64

#: A connection in constant use would lead to the same address for ever. After this
#: long a new one is made, and with it the name is resolved again.
MAX_AGE_SECONDS = 60.0

_log = Logger()


class _UpstreamFactory(Factory):
    noisy = False


class ConnectionPool:
    """
    The connections to one origin.

    `clock` is an `IReactorTime`; `connect_timeout` bounds, in seconds, the TCP
    connection and, again, the TLS handshake. `what` names the server, for people.
    `slots` are the places that its requests take: its own, unless they are given. So
    are `stalls`, which give requests up; its own never do. `for_bodies` is another
    pool, for requests whose bodies stream.
    """

    def __init__(
        self,
        clock: IReactorTime,
        origin: Origin,
        endpoint: IStreamClientEndpoint,
        connect_timeout: float,
        what: str = UPSTREAM,
        slots: Slots | None = None,
        stalls: Stalls | None = None,
        for_bodies: ConnectionPool | None = None,
    ) -> None:
        self.origin = origin
        self.what = what
        self._clock = clock
        self._host = origin.netloc.encode()
        self._endpoint = endpoint
        self._connect_timeout = connect_timeout
        self._idle: list[UpstreamProtocol] = []
        #: How many connections are ready, in use or not.
        self._open = 0
        self.slots = slots or Slots(MAX_BUSY_CONNECTIONS, MAX_WAITING_REQUESTS, what)
        self.stalls = stalls or Stalls(clock)
        self._queue = ConnectionQueue(
            self.connect, self._put, clock.seconds, connect_timeout
        )
        self._for_bodies = for_bodies
        self._spills = False
        self._sweeping: IDelayedCall | None = None

    def request(
        self,
        method: bytes,
        target: bytes,
        headers: Iterable[Header],
        body: IStreamingBody | BytesBody | None = None,
    ) -> Outcome[Reply]:
        """
        Send a request; the outcome is its reply, when its headers are in.

        Fails with `UpstreamUnavailable`, `UpstreamTimeout` or `UpstreamMalformed`; with
        what `body` fails with, when the body is what failed. A request that is
        cancelled ends its connection.
        """
        if body is None or isinstance(body, BytesBody):
            message = request_head(method, target, self._host, headers, body)
            if body is not None:
                message += body.data
            sent = SentRequest(self, method == b"HEAD", message, None)
        elif self._for_bodies is None:
            head = request_head(method, target, self._host, headers, body)
            sent = SentRequest(self, method == b"HEAD", head, body)
        else:
            return self._for_bodies.request(method, target, headers, body)
        sent.start()
        return sent

    def prepare(self, count: int) -> None:
        """
        Open connections ahead for requests that will come soon.

        Afterwards `count` are there or being opened, those in use with them. Nobody is
        told of one that cannot be opened: the next request finds out by itself.
        """
        if self._open < count:
            self._queue.open_ahead(count - self._open)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        if self._for_bodies is not None:
            self._for_bodies.close()
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
        self._queue.give_up()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def take(self, max_idle: float) -> UpstreamProtocol | None:
        """Return a connection that was idle for at most so many seconds, or None."""
        # The one that came back last is the one that is surely still open.
        while self._idle:
            connection = self._idle.pop()
            now = self._clock.seconds()
            if (
                connection.is_open
                and now - connection.idle_since <= max_idle
                and now - connection.opened <= MAX_AGE_SECONDS
            ):
                return connection
            connection.close()
        return None

    def wait(self) -> Deferred[UpstreamProtocol]:
        """Wait for a connection: a new one, or one that is free first."""
        return self._queue.get()

    async def connect(self) -> UpstreamProtocol:
        """Return a new connection, whose peer's certificate is verified."""
        secured: Deferred[None] = Deferred()

        def on_secured(problem: Failure | None) -> None:
            if not secured.called:
                secured.callback(problem)

        connection: Any = await self._endpoint.connect(
            _UpstreamFactory.forProtocol(
                lambda: UpstreamProtocol(
                    self.what, self.slots, self._put, self._note_spilling, on_secured
                )
            )
        )
        checked: UpstreamProtocol = connection
        if self.origin.scheme == "http":
            checked.handshakeCompleted()
        else:
            try:
                await secured.addTimeout(self._connect_timeout, self._clock)
            except BaseException:
                checked.abort()
                raise
        checked.opened = self._clock.seconds()
        checked.on_lost = self._lost
        self._open += 1
        return checked

    def _lost(self) -> None:
        self._open -= 1

    def _note_spilling(self) -> None:
        if not self._spills:
            self._spills = True
            _log.warn(
                "{what}, {origin}: it sends bytes after its replies that are no part "
                "of them; its connections are not kept after HEAD, 204 and 304",
                what=self.what,
                origin=str(self.origin),
            )

    def _put(self, connection: UpstreamProtocol) -> None:
        """Give a connection to who waits for one, or keep it."""
        if self._spills and connection.was_bodiless:
            # What comes next on it may belong to what was before.
            connection.abort()
            return
        now = self._clock.seconds()
        if self._queue.waiting and now - connection.opened <= MAX_AGE_SECONDS:
            self._queue.offer(connection)
            return
        connection.idle_since = now
        connection.may_be_stale = True
        self._idle.append(connection)
        if len(self._idle) > MAX_IDLE_CONNECTIONS:
            self._idle.pop(0).close()
        if self._sweeping is None:
            self._sweeping = self._clock.callLater(IDLE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now = self._clock.seconds()
        old = [c for c in self._idle if now - c.idle_since >= IDLE_SECONDS]
        self._idle = [c for c in self._idle if c not in old and c.is_open]
        for connection in old:
            connection.close()
        if self._idle:
            self._sweeping = self._clock.callLater(IDLE_SECONDS / 2, self._sweep)
