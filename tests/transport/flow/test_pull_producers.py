"""Producers that are asked for each piece."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from regbroker.transport.flow.pull_producers import Pulled


class Counting:
    """A pull producer that counts; `on_ask` is called with the count."""

    def __init__(self) -> None:
        self.asked = 0
        self.stopped = 0
        self.on_ask: Any = None

    def resumeProducing(self) -> None:
        self.asked += 1
        if self.on_ask is not None:
            self.on_ask(self.asked)

    def stopProducing(self) -> None:
        self.stopped += 1


class PulledTests(TestCase):
    timeout = 20

    def setUp(self) -> None:
        counting: Any = Counting()
        self.counting = counting
        self.given_up: list[None] = []
        self.pulled = Pulled(self.counting, lambda: self.given_up.append(None))
        self.addCleanup(self.pulled.stop)

    def asked(self, times: int) -> Deferred[int]:
        """Fire when it was asked so often."""
        fired: Deferred[int] = Deferred()

        def note(count: int) -> None:
            if count == times:
                fired.callback(count)

        self.counting.on_ask = note
        return fired

    async def turns(self) -> None:
        """Let the reactor go round often enough for anything that is due."""
        for _ in range(20):
            await deferLater(reactor, 0)

    async def test_again_and_again(self) -> None:
        """It is asked until it is stopped; the producer hears of a real stop only."""
        several = self.asked(3)
        self.pulled.start()
        await several
        self.pulled.stop()
        count = self.counting.asked
        await self.turns()
        self.assertEqual((self.counting.asked, self.counting.stopped), (count, 0))
        self.pulled.stopProducing()
        self.assertEqual(self.counting.stopped, 1)

    async def test_pause(self) -> None:
        """Paused, it is not asked, also when it was paused before it began."""
        self.pulled.pauseProducing()
        self.pulled.start()
        await self.turns()
        self.assertEqual(self.counting.asked, 0)
        some = self.asked(2)
        self.pulled.resumeProducing()
        await some
        self.pulled.pauseProducing()
        count = self.counting.asked
        await self.turns()
        self.assertEqual(self.counting.asked, count)

    async def test_error(self) -> None:
        """One that fails is logged, and given up."""

        def fail(_: int) -> None:
            raise ZeroDivisionError

        def give_up() -> None:
            self.given_up.append(None)
            pulled.stop()

        pulled = Pulled(self.counting, give_up)
        self.counting.on_ask = fail
        pulled.start()
        await self.turns()
        self.assertEqual((self.counting.asked, len(self.given_up)), (1, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_stopped_before_it_began(self) -> None:
        """One that is stopped is never asked."""
        self.pulled.stop()
        self.pulled.start()
        self.pulled.resumeProducing()
        await self.turns()
        self.assertEqual(self.counting.asked, 0)
