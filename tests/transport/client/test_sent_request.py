"""A request on its way to a connection, and what becomes of it; see `test_client`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import UpstreamTimeout, UpstreamUnavailable
from regbroker.protocol.origins import Origin
from regbroker.transport.client.sent_request import (
    IDLE_SECONDS,
    IDLE_SECONDS_FOR_BODIES,
    SentRequest,
)
from regbroker.transport.client.slots import Slots
from regbroker.transport.flow.stalls import Stalls
from tests.connectionscase import BodyByHand, replied


class Connection:
    """Takes one request."""

    def __init__(self, may_be_stale: bool = False) -> None:
        self.may_be_stale = may_be_stale
        self.request: Any = None
        self.was_given_up = False

    def send(self, request: Any) -> None:
        self.request = request

    def give_up(self) -> None:
        self.was_given_up = True
        self.request._connections.slots.free()


class Connections:
    """Gives one kept connection, and new ones as they are fired."""

    origin = Origin("http", "up", 80)
    what = "the oracle"

    def __init__(self) -> None:
        self.clock = Clock()
        self.slots = Slots(1, 1, "the oracle")
        self.stalls = Stalls(self.clock, 30)
        self.kept: Connection | None = None
        self.max_idle = 0.0
        self.are_new = False
        self.connecting: list[Deferred[Any]] = []

    def take(self, max_idle: float) -> Any:
        self.max_idle = max_idle
        kept, self.kept = self.kept, None
        return kept

    def wait(self) -> Deferred[Any]:
        self.connecting.append(Deferred())
        return self.connecting[-1]

    async def connect(self) -> Any:
        self.are_new = True
        return await self.wait()


class SentRequestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connections = Connections()
        self.slots = self.connections.slots

    def sent(self, body: Any = None) -> SentRequest:
        """A request that has begun."""
        connections: Any = self.connections
        request = SentRequest(connections, False, b"head", body)
        request.start()
        return request

    def test_kept(self) -> None:
        """A connection that is open is used at once; the reply is the outcome."""
        self.connections.kept = kept = Connection()
        request = self.sent()
        self.assertIs(kept.request, request)
        self.assertEqual(self.connections.connecting, [])
        reply = replied(201)
        request.replied(reply)
        self.assertIs(self.successResultOf(request.deferred()), reply)

    def test_idle(self) -> None:
        """A body that streams wants a connection that was used lately."""
        for body, max_idle in (
            (None, IDLE_SECONDS),
            (BodyByHand(), IDLE_SECONDS_FOR_BODIES),
        ):
            self.setUp()
            self.sent(body)
            self.assertEqual(self.connections.max_idle, max_idle)

    def test_stale(self) -> None:
        """A kept connection that was closed meanwhile is followed by a new one."""
        self.connections.kept = Connection(may_be_stale=True)
        request = self.sent()
        self.slots.free()
        request.failed(ConnectionError(), True)
        new = Connection()
        self.connections.connecting[0].callback(new)
        self.assertTrue(self.connections.are_new)
        self.assertIs(new.request, request)
        request.failed(ConnectionError(), True)
        self.failureResultOf(request.deferred(), UpstreamUnavailable)

    def test_not_stale(self) -> None:
        """Not when it was new, has answered, or has had a body that streams."""
        for used, is_unanswered, body in (
            (False, True, None),
            (True, False, None),
            (True, True, BodyByHand()),
        ):
            self.setUp()
            self.connections.kept = Connection(used)
            request = self.sent(body)
            request.failed(ConnectionError(), is_unanswered)
            self.failureResultOf(request.deferred(), UpstreamUnavailable)
            self.assertEqual(self.connections.connecting, [])

    def test_no_connection(self) -> None:
        """The place is free again when there is none."""
        request = self.sent()
        self.assertFalse(self.connections.are_new)
        self.connections.connecting[0].errback(ConnectionError())
        self.failureResultOf(request.deferred(), UpstreamUnavailable)
        self.assertTrue(self.slots.take())

    def test_cancelled(self) -> None:
        """In the queue, while it connects, and when it was sent."""
        self.connections.kept = kept = Connection()
        sent = self.sent()
        waiting = self.sent()
        waiting.cancel()
        self.failureResultOf(waiting.deferred(), CancelledError)
        sent.cancel()
        self.failureResultOf(sent.deferred(), CancelledError)
        self.assertTrue(kept.was_given_up)
        connecting = self.sent()
        connecting.cancel()
        self.failureResultOf(connecting.deferred(), CancelledError)
        self.assertTrue(self.slots.take())

    def test_stalled(self) -> None:
        """A request without an answer fails in time, wherever it waits."""
        self.connections.kept = kept = Connection()
        sent = self.sent().deferred()
        self.connections.clock.advance(20)
        waiting = self.sent().deferred()
        self.connections.clock.advance(10)
        error: Any = self.failureResultOf(sent, UpstreamTimeout).value
        self.assertEqual(error.message, "the oracle did not answer")
        self.assertTrue(kept.was_given_up)
        self.assertNoResult(waiting)
        self.connections.clock.advance(20)
        self.failureResultOf(waiting, UpstreamTimeout)
        self.assertTrue(self.slots.take())
        self.assertEqual(self.connections.clock.getDelayedCalls(), [])

    def test_moving(self) -> None:
        """While something of its body moves it is not; its body says why it is."""
        self.connections.kept = Connection()
        body = BodyByHand()
        sent = self.sent(body).deferred()
        for _ in range(3):
            self.connections.clock.advance(20)
            body.moved = self.connections.clock.seconds()
        self.connections.clock.advance(29)
        self.assertNoResult(sent)
        self.connections.clock.advance(1)
        self.failureResultOf(sent, ValueError)

    def test_not_watched(self) -> None:
        """What has come to its end is watched no more."""
        for end in (
            lambda sent: sent.replied(replied(201)),
            lambda sent: sent.failed(ConnectionError(), True),
            lambda sent: sent.cancel(),
        ):
            self.setUp()
            self.connections.kept = Connection()
            end(self.sent())
            self.assertEqual(self.connections.stalls._watched, {})

    def test_full(self) -> None:
        """A queue that is full fails at once."""
        for _ in range(2):
            self.sent()
        self.failureResultOf(self.sent().deferred(), UpstreamUnavailable)
