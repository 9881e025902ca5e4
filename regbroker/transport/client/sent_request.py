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
from twisted.web.iweb import IBodyProducer

from regbroker.errors import UpstreamUnavailable
from regbroker.protocol.origins import Origin
from regbroker.runtime.outcome import Outcome
from regbroker.transport.client.bytes_body import BytesBody
from regbroker.transport.client.errors import converted_error
from regbroker.transport.client.protocol import UpstreamProtocol
from regbroker.transport.client.reply import Reply
from regbroker.transport.client.slots import Slots

#: Below the idle timeouts of common balancers (60 s), so that we close first.
IDLE_SECONDS = 50.0

#: Servers close idle connections after 5 s at the earliest.
IDLE_SECONDS_FOR_BODIES = 4.0


class Connections(Protocol):
    """Where a request's connection comes from."""

    origin: Origin
    what: str

    def take(self, max_idle: float) -> UpstreamProtocol | None:
        """Return a connection that was idle for at most so many seconds, or None."""

    def wait(self) -> Deferred[UpstreamProtocol]:
        """Wait for a connection: a new one, or one that is free first."""

    def connect(self) -> Coroutine[Any, Any, UpstreamProtocol]:
        """Return a new connection."""


class SentRequest(Outcome[Reply]):
    """
    One request, whose outcome is its reply.

    It is sent once more on a new connection when a kept one was closed meanwhile, and
    its body is none, or in memory.
    """

    _waiting: Deferred[Any] | None = None
    _connection: UpstreamProtocol | None = None
    _was_kept = False
    _is_cancelled = False

    def __init__(
        self,
        connections: Connections,
        slots: Slots,
        is_head: bool,
        head: bytes,
        body: IBodyProducer | None,
        on_continue: Callable[[], None] | None,
    ) -> None:
        self.is_head = is_head
        self.head = head
        self.body = body
        self.on_continue = on_continue
        self._connections = connections
        self._slots = slots
        self._is_repeatable = body is None or isinstance(body, BytesBody)

    def start(self, has_place: bool = False) -> None:
        """Begin, or go on with a place that was waited for."""
        if not has_place and not self._slots.take():
            try:
                waiting = self._slots.wait()
            except UpstreamUnavailable as error:
                self._fail(error)
            else:
                self._wait_for(waiting, lambda _: self.start(True), has_place=False)
            return
        max_idle = IDLE_SECONDS if self._is_repeatable else IDLE_SECONDS_FOR_BODIES
        connection = self._connections.take(max_idle)
        if connection is None:
            self._wait_for(self._connections.wait(), self._send)
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
                self._slots.free()
            error = failure.value
            assert isinstance(error, Exception)
            self._fail(error)

        self._waiting = result
        result.addCallbacks(go_on, fail)

    def _send(self, connection: UpstreamProtocol) -> None:
        """Send it; the place goes with the connection."""
        self._was_kept = connection.may_be_stale
        self._connection = connection
        connection.send(self, self._slots)

    # What becomes of it.

    def replied(self, reply: Reply) -> None:
        """Take the reply; its body may still arrive."""
        self._connection = None
        self.end(reply)

    def failed(self, error: Exception, is_unanswered: bool) -> None:
        """Send it once more on a new connection, or fail."""
        self._connection = None
        # The server has closed the connection while it was idle.
        was_stale = self._was_kept and is_unanswered
        if was_stale and self._is_repeatable and not self._is_cancelled:
            # The place went with the connection.
            self._slots.take_again()
            # Another kept one may be closed, too.
            connecting = Deferred.fromCoroutine(self._connections.connect())
            self._wait_for(connecting, self._send)
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self._is_cancelled:
            origin, what = self._connections.origin, self._connections.what
            self.end(Failure(converted_error(error, origin, what)))

    def give_up(self) -> None:
        """Give up the place, or the connection: nobody waits for the reply any more."""
        self._is_cancelled = True
        if self._waiting is not None:
            self._waiting.cancel()
        elif self._connection is not None:
            self._connection.give_up()
