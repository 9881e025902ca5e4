"""Workers that hang, and those that are only slow."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.workers.pulse import BEAT_SECONDS, MAX_SILENT, MAX_UNANSWERED, Pulse


class FakeWorker:
    """Answers when the test says so."""

    pid = 4711

    def __init__(self, number: int) -> None:
        self.number = number
        self.unanswered = 0
        self.is_given_up = False
        self.kills = 0
        self.channel = self
        self.asked: list[Deferred[Any]] = []

    def ask(self, kind: str, *_: object) -> Deferred[Any]:
        """Be asked."""
        assert kind == "alive"
        self.asked.append(Deferred())
        return self.asked[-1]

    def answer(self) -> None:
        """Answer all that was asked."""
        asked, self.asked = self.asked, []
        for each in asked:
            each.callback({})

    def kill(self) -> None:
        """Be killed."""
        self.kills += 1


class PulseTests(SynchronousTestCase):
    """Two workers, the first of which answers at once."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.good, self.other = FakeWorker(1), FakeWorker(2)
        self.workers: Any = [self.good, self.other]
        self.pulse = Pulse(self.clock, lambda: self.workers)
        self.pulse.start()

    def beat(self, count: int = 1) -> None:
        """Let so many questions be asked."""
        for _ in range(count):
            self.good.answer()
            self.clock.advance(BEAT_SECONDS)

    def test_hangs(self) -> None:
        """One that does not answer for long is killed, and the log says so once."""
        with capturedLogs() as events:
            self.beat(MAX_UNANSWERED - 1)
            self.assertEqual((self.other.kills, events), (0, []))
            self.beat(3)
        self.assertEqual((self.good.kills, self.other.kills), (0, 3))
        (line,) = map(formatEvent, events)
        self.assertIn("worker 2: process 4711 hangs", line)
        self.assertIn("not answered for 30 s", line)
        self.assertTrue(self.pulse.is_well())

    def test_slow(self) -> None:
        """One that is late, but answers, stays."""
        for _ in range(5):
            self.beat(MAX_UNANSWERED - 1)
            self.other.answer()
        self.assertEqual(self.other.kills, 0)

    def test_stopped_together(self) -> None:
        """Time in which nobody was asked does not count."""
        self.clock.advance(100 * BEAT_SECONDS)
        self.beat(MAX_UNANSWERED - 2)
        self.assertEqual(self.other.kills, 0)

    def test_ended(self) -> None:
        """That a worker has ended is not its hanging."""
        self.other.asked[0].errback(ConnectionError())
        self.workers.remove(self.other)
        self.beat(MAX_UNANSWERED * 2)
        self.assertEqual(self.other.kills, 0)

    def test_well(self) -> None:
        """While nobody answers, nobody says that all is well."""
        self.workers.clear()
        with capturedLogs() as events:
            self.beat(MAX_SILENT - 1)
            self.assertTrue(self.pulse.is_well())
            self.beat(3)
        self.assertFalse(self.pulse.is_well())
        (line,) = map(formatEvent, events)
        self.assertIn("no worker has answered for 60 s", line)
        self.workers.append(self.good)
        self.beat()
        self.good.answer()
        self.assertTrue(self.pulse.is_well())

    def test_stopped(self) -> None:
        """Nobody is asked after that."""
        self.pulse.stop()
        self.other.asked.clear()
        self.clock.advance(100 * BEAT_SECONDS)
        self.assertEqual(self.other.asked, [])
        self.assertTrue(self.pulse.is_well())
