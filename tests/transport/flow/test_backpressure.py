"""When a producer stops, and when it goes on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.flow.backpressure import Backpressure, Budget


class Producer:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class BackpressureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.budget = Budget(1000)
        self.producer = Producer()
        self.flow = self.make()
        self.flow.register(self.producer, True, lambda: None)
        self.flow.start()

    def make(self, most: int = 100) -> Backpressure:
        """A connection that is given up to `most` bytes when it is full."""
        return Backpressure(self.budget, most)

    def test_room(self) -> None:
        """Nobody is paused for what a transport takes, or while it holds little."""
        self.flow.written(10_000)
        self.flow.pauseProducing()
        self.flow.written(99)
        self.assertEqual(self.producer.told, [])
        self.flow.resumeProducing()
        self.flow.written(10_000)
        self.assertEqual((self.producer.told, self.budget.used), ([], 0))

    def test_watermark(self) -> None:
        """One pause at the mark, one resume when the transport is empty."""
        self.flow.pauseProducing()
        for _ in range(4):
            self.flow.written(60)
        self.assertEqual((self.producer.told, self.budget.used), (["pause"], 240))
        self.flow.resume()
        self.assertEqual(self.producer.told, ["pause"])
        self.flow.resumeProducing()
        self.assertEqual(self.producer.told, ["pause", "resume"])
        self.assertEqual(self.budget.used, 0)

    def test_budget(self) -> None:
        """When all of the budget is used, each connection pauses at once."""
        others = [self.make(500), self.make(500)]
        for each in others:
            each.register(Producer(), True, lambda: None)
            each.pauseProducing()
            each.written(499)
        self.flow.pauseProducing()
        self.flow.written(2)
        self.assertTrue(self.budget.is_used_up)
        self.assertEqual(self.producer.told, ["pause"])
        for each in others:
            each.release()
        self.assertEqual(self.budget.used, 2)
        self.flow.stopProducing()
        self.assertEqual((self.producer.told, self.budget.used), (["pause", "stop"], 0))

    def test_one_at_a_time(self) -> None:
        """A second producer is refused; after the first one it is welcome."""
        other = Producer()
        with self.assertRaises(RuntimeError):
            self.flow.register(other, True, lambda: None)
        self.flow.pauseProducing()
        self.flow.written(100)
        self.flow.release()
        self.flow.register(other, True, lambda: None)
        self.flow.pause()
        self.flow.pause()
        self.flow.resume()
        self.assertEqual(
            (self.producer.told, other.told), (["pause"], ["pause", "resume"])
        )

    def test_no_producer(self) -> None:
        """Without a producer nothing is done."""
        flow = self.make()
        flow.pause()
        flow.resume()
        flow.stopProducing()
        flow.start()
        self.assertFalse(flow.is_paused)
