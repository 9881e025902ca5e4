"""Requests that wait for connections: which one they get, and what fails them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.client.connection_queue import MAX_OPENING, ConnectionQueue

PATIENCE = 5.0


class ConnectionQueueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        #: Connections that are being opened.
        self.opening: list[Deferred[str]] = []
        self.cancelled: list[Deferred[str]] = []
        #: Connections that nobody has wanted.
        self.kept: list[str] = []
        self.queue: ConnectionQueue[str] = ConnectionQueue(
            self.connect, self.opened, lambda: self.now, PATIENCE
        )

    async def connect(self) -> str:
        attempt: Deferred[str] = Deferred(self.cancelled.append)
        self.opening.append(attempt)
        return await attempt

    def opened(self, connection: str) -> None:
        if not self.queue.offer(connection):
            self.kept.append(connection)

    def waiting(self, count: int) -> list[Deferred[Any]]:
        return [self.queue.get() for _ in range(count)]

    def test_new(self) -> None:
        """Each of a few gets a connection of its own."""
        waiting = self.waiting(2)
        for number, attempt in enumerate(self.opening):
            attempt.callback(f"new {number}")
        self.assertEqual(
            [self.successResultOf(one) for one in waiting], ["new 0", "new 1"]
        )
        self.assertEqual(len(self.opening), 2)

    def test_free_first(self) -> None:
        """What is free before is taken; what was opened then is kept."""
        (waiting,) = self.waiting(1)
        self.assertTrue(self.queue.offer("free"))
        self.assertEqual(self.successResultOf(waiting), "free")
        self.assertFalse(self.queue.offer("free, too"))
        self.opening[0].callback("new")
        self.assertEqual(self.kept, ["new"])

    def test_in_order(self) -> None:
        """Who waits longest is first, whatever the connection was opened for."""
        first, second = self.waiting(2)
        self.opening[1].callback("new")
        self.assertEqual(self.successResultOf(first), "new")
        self.assertNoResult(second)

    def test_few_at_a_time(self) -> None:
        """So many are opened at once; with each that is there, another one begins."""
        waiting = self.waiting(MAX_OPENING + 2)
        self.assertEqual(len(self.opening), MAX_OPENING)
        self.opening[0].callback("new")
        self.assertEqual(self.successResultOf(waiting[0]), "new")
        self.assertEqual(len(self.opening), MAX_OPENING + 1)
        self.queue.offer("free")
        self.opening[1].callback("another")
        # One waits less than are opened now.
        self.assertEqual(len(self.opening), MAX_OPENING + 1)

    def test_failure(self) -> None:
        """An error is one request's: another attempt is made for the next one."""
        waiting = self.waiting(MAX_OPENING + 1)
        self.opening[3].errback(ConnectionError("refused"))
        self.failureResultOf(waiting[0], ConnectionError)
        self.assertEqual(len(self.opening), MAX_OPENING + 1)
        for one in waiting[1:]:
            self.assertNoResult(one)

    def test_nobody_cares(self) -> None:
        """An error when nobody waits is nobody's."""
        self.waiting(1)
        self.queue.offer("free")
        self.opening[0].errback(ConnectionError("refused"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_patience(self) -> None:
        """With a slow error end all who have waited as long as it may take."""
        waiting = self.waiting(MAX_OPENING + 2)
        self.now = 1.0
        waiting += self.waiting(1)
        self.now = PATIENCE
        self.opening[0].errback(TimeoutError())
        for one in waiting[:-1]:
            self.failureResultOf(one, TimeoutError)
        self.assertNoResult(waiting[-1])

    def test_failing_at_once(self) -> None:
        """Where nothing can be opened, everybody is told, and it has an end."""

        async def refuse() -> str:
            raise ConnectionError("refused")

        self.connect = refuse  # type: ignore[method-assign]
        self.setUp()
        for one in self.waiting(3):
            self.failureResultOf(one, ConnectionError)

    def test_leaving(self) -> None:
        """Who leaves takes an attempt along that nobody needs any more."""
        first, second = self.waiting(2)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.cancelled, [self.opening[1]])
        self.opening[0].callback("new")
        self.assertEqual(self.successResultOf(second), "new")

    def test_leaving_while_others_wait(self) -> None:
        """That an attempt was given up is nobody's error, however it is called."""

        def give_up(attempt: Deferred[str]) -> None:
            # As endpoints do, and it is no CancelledError.
            attempt.errback(ConnectingCancelledError(None))

        async def connect() -> str:
            self.opening.append(Deferred(give_up))
            return await self.opening[-1]

        self.connect = connect  # type: ignore[method-assign]
        self.setUp()
        first, second = self.waiting(2)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertNoResult(first)
        self.opening[0].callback("new")
        self.assertEqual(self.successResultOf(first), "new")

    def test_ahead(self) -> None:
        """What is opened ahead goes to who comes meanwhile; the rest is kept."""
        self.queue.open_ahead(2)
        (waiting,) = self.waiting(1)
        self.assertEqual(len(self.opening), 2)
        for number, attempt in enumerate(self.opening):
            attempt.callback(f"new {number}")
        self.assertEqual(self.successResultOf(waiting), "new 0")
        self.assertEqual(self.kept, ["new 1"])

    def test_ahead_of_many(self) -> None:
        """Those that are being opened count, and the bound holds."""
        self.waiting(2)
        self.queue.open_ahead(2)
        self.assertEqual(len(self.opening), 2)
        self.queue.open_ahead(MAX_OPENING + 1)
        self.assertEqual(len(self.opening), MAX_OPENING)

    def test_ahead_in_vain(self) -> None:
        """That nothing can be opened has an end, and nobody hears of it."""
        asked: list[str] = []

        async def refuse() -> str:
            asked.append("connect")
            raise ConnectionError("refused")

        self.connect = refuse  # type: ignore[method-assign]
        self.setUp()
        self.queue.open_ahead(2)
        self.assertEqual(asked, ["connect", "connect"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_give_up(self) -> None:
        """What nobody waits for is not opened any more."""
        waiting = self.waiting(3)
        self.queue.offer("free")
        self.queue.give_up()
        self.assertEqual(self.cancelled, [self.opening[2]])
        self.assertNoResult(waiting[2])

    def test_leaving_a_crowd(self) -> None:
        """Not as long as others wait for it."""
        waiting = self.waiting(MAX_OPENING + 1)
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        self.assertEqual(self.cancelled, [])
