"""
A request to a server, from its place in the queue to the head of its reply.

Each step is a callback of the one before: mostly there is a place, and a connection
that is open already, so that the request is written at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regbroker.errors import UpstreamUnavailable
from regbroker.protocol.origins import Origin
from regbroker.runtime.outcome import Outcome
from regbroker.transport.client.errors import converted_error, unanswered
from regbroker.transport.client.protocol import UpstreamProtocol
from regbroker.transport.client.reply import Reply
from regbroker.transport.client.request_writer import IStreamingBody
from regbroker.transport.client.slots import Slots
from regbroker.transport.flow.stalls import Stalls

#: Below the idle timeouts of common balancers (60 s), so that we close first.
IDLE_SECONDS = 50.0

#: Servers close idle connections after 5 s at the earliest.
IDLE_SECONDS_FOR_BODIES = 4.0


class Connections(Protocol):
    """Where a request's connection comes from, and its place in `slots`."""

    origin: Origin
    what: str
    slots: Slots
    #: Watches requests for their replies.
    stalls: Stalls

    def take(self, max_idle: float) -> UpstreamProtocol | None:
        """Return a connection that was idle for at most so many seconds, or None."""

    def wait(self) -> Deferred[UpstreamProtocol]:
        """Wait for a connection: a new one, or one that is free first."""

    def connect(self) -> Coroutine[Any, Any, UpstreamProtocol]:
        """Return a new connection."""


class SentRequest(Outcome[Reply]):
    """
    One request, whose outcome is its reply.

    `message` is its head, with a body that is in memory; `body` is one that streams. A
    request without such a body is sent once more, on a new connection, when a kept one
    was closed meanwhile. It is given up where nothing moves, see `Stalls`.
    """

    _waiting: Deferred[Any] | None = None
    _connection: UpstreamProtocol | None = None
    _was_kept = False
    _is_cancelled = False

    def __init__(
        self,
        connections: Connections,
        is_head: bool,
        message: bytes,
        body: IStreamingBody | None,
    ) -> None:
        self.is_head = is_head
        self.message = message
        self.body = body
        self._connections = connections
        stalls = connections.stalls
        self._began = stalls.now()
        stalls.add(self, self._began + stalls.seconds)

    def start(self, has_place: bool = False) -> None:
        """Begin, or go on with a place that was waited for."""
        connections = self._connections
        if not has_place and not connections.slots.take():
            try:
                waiting = connections.slots.wait()
            except UpstreamUnavailable as error:
                self._fail(error)
            else:
                self._wait_for(waiting, lambda _: self.start(True), has_place=False)
            return
        max_idle = IDLE_SECONDS if self.body is None else IDLE_SECONDS_FOR_BODIES
        connection = connections.take(max_idle)
        if connection is None:
            self._wait_for(connections.wait(), self._send)
        else:
            self._send(connection)

    def _wait_for(
        self,
        result: Deferred[Any],
        then: Callable[[Any], None],
        has_place: bool = True,
    ) -> None:
        """Go on with a result; a place that the request has meanwhile is given back."""

        def go_on(value: Any) -> None:
            self._waiting = None
            then(value)

        def fail(failure: Failure) -> None:
            self._waiting = None
            if has_place:
                self._connections.slots.free()
            error = failure.value
            assert isinstance(error, Exception)
            self._fail(error)

        self._waiting = result
        result.addCallbacks(go_on, fail)

    def _send(self, connection: UpstreamProtocol) -> None:
        """Send it; the place goes with the connection."""
        self._was_kept = connection.may_be_stale
        self._connection = connection
        connection.send(self)

    # What becomes of it.

    def replied(self, reply: Reply) -> None:
        """Take the reply; its body may still arrive."""
        self._connection = None
        self._connections.stalls.remove(self)
        self.end(reply)

    def failed(self, error: Exception, is_unanswered: bool) -> None:
        """Send it once more on a new connection, or fail."""
        self._connection = None
        # The server has closed the connection while it was idle.
        was_stale = self._was_kept and is_unanswered
        if was_stale and self.body is None and not self._is_cancelled:
            # The place went with the connection.
            self._connections.slots.take_again()
            # Another kept one may be closed, too.
            connecting = Deferred.fromCoroutine(self._connections.connect())
            self._wait_for(connecting, self._send)
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self._is_cancelled:
            connections = self._connections
            connections.stalls.remove(self)
            error = converted_error(error, connections.origin, connections.what)
            self.end(Failure(error))

    @property
    def due(self) -> float:
        """When it is given up, unless something moves."""
        moved = self._began if self.body is None else self.body.moved
        return moved + self._connections.stalls.seconds

    def stalled(self) -> None:
        """Fail: nothing has moved for too long."""
        self.give_up()
        self.end(Failure(self._why_stalled()))

    def _why_stalled(self) -> Exception:
        if self.body is None:
            return unanswered(self._connections.what)
        return self.body.why_stalled(self._connections.stalls.seconds)

    def give_up(self) -> None:
        """Give up the place, or the connection: nobody waits for the reply any more."""
        self._is_cancelled = True
        self._connections.stalls.remove(self)
        if self._waiting is not None:
            self._waiting.cancel()
        elif self._connection is not None:
            self._connection.give_up()
