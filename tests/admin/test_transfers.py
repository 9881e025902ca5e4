"""How far transfers are, and how fast they go."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin.transfers import Transfer, TransferRates
from regbroker.events import Event
from regbroker.web.serving import Progress


class TransferTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rates = TransferRates(self.clock.seconds)
        self.event = Event(self.clock.seconds, method="PATCH")

    def look(self, done: int, event: Event | None = None) -> Transfer:
        """What is seen when so many bytes of a thousand have come."""
        progress = Progress(event or self.event, done, 1000, 5, None)
        (found,) = self.rates.transfers([progress])
        return found

    def test_directions(self) -> None:
        """A push is what the client sends, a pull what it gets."""
        for method, expected in (
            ("PATCH", (True, 300, 1000)),
            ("PUT", (True, 300, 1000)),
            ("POST", (True, 300, 1000)),
            ("GET", (False, 5, None)),
        ):
            found = self.look(300, Event(self.clock.seconds, method=method))
            self.assertEqual((found.is_push, found.done, found.total), expected)

    def test_rate(self) -> None:
        """Since somebody looked last, but of a second at least."""
        self.assertEqual(self.look(0).rate, 0)
        self.clock.advance(0.5)
        self.assertEqual(self.look(100).rate, 200)
        self.clock.advance(0.5)
        self.assertEqual(self.look(300).rate, 300)
        self.clock.advance(0.1)
        # Another page that looks soon after changes nothing.
        self.assertEqual(self.look(301).rate, 300)
        self.clock.advance(1.9)
        self.assertEqual(self.look(400).rate, 50)
        self.clock.advance(1)
        self.assertEqual(self.look(400).rate, 0)

    def test_forgotten(self) -> None:
        """What is over is not kept."""
        self.look(100)
        self.assertEqual(self.rates.transfers([]), [])
        self.clock.advance(2)
        self.assertEqual(self.look(200).rate, 100)
