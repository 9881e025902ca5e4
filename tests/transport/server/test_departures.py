"""Clients that leave before they have their reply."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from regbroker.transport.server.departures import Companion


class Telling(Companion):
    """Tells that the client has left, and why."""

    def __init__(self, request: Request, tell: Callable[[Failure], object]) -> None:
        self.tell = tell
        self.accompany(request)

    def client_gone(self, reason: Failure) -> None:
        self.tell(reason)


class CompanionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.request = Request(DummyChannel(), False)
        self.request.gotLength(0)
        self.told: list[tuple[str, Failure]] = []

    def tell(self, name: str) -> None:
        """Have `told` note that the client has left."""
        Telling(self.request, lambda reason: self.told.append((name, reason)))

    def test_gone(self) -> None:
        """All are told why, in order, beside those who wait in Twisted's way."""
        self.tell("first")
        finished = self.request.notifyFinish()
        self.tell("second")
        reason = Failure(ConnectionDone())
        self.request.connectionLost(reason)
        self.assertEqual(self.told, [("first", reason), ("second", reason)])
        self.failureResultOf(finished, ConnectionDone)

    def test_ended(self) -> None:
        """Nobody is told of a reply that has ended."""
        self.tell("first")
        self.request.setResponseCode(204)
        self.request.finish()
        self.assertEqual(self.told, [])

    def test_raises(self) -> None:
        """What one of them raises is logged, and the next one is told."""

        def fail(_: Failure) -> None:
            raise ValueError

        Telling(self.request, fail)
        self.tell("second")
        self.request.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([name for name, _ in self.told], ["second"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
