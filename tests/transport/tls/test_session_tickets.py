"""Keys of session tickets: one set for each day, and the same after a fork."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.tls.session_tickets import (
    KEY_SECONDS,
    TICKET_SECONDS,
    TicketKeys,
)


class TicketKeysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = 1000.0
        self.keys = TicketKeys(lambda: self.time)

    def test_one_day(self) -> None:
        """The keys of a day are the same, and others the next day."""
        first = self.keys.context()
        self.time += KEY_SECONDS - 1
        self.assertIs(self.keys.context(), first)
        self.time += 1
        self.assertIsNot(self.keys.context(), first)

    def test_ahead(self) -> None:
        """Keys that were made ahead are used in their turn; then come others."""
        self.keys.make_ahead(3)
        made = dict(self.keys._contexts)
        self.assertEqual(list(made), [0, 1, 2])
        for day in range(3):
            self.assertIs(self.keys.context(), made[day])
            self.time += KEY_SECONDS
        self.assertNotIn(self.keys.context(), made.values())

    def test_forgotten(self) -> None:
        """Nothing is left of a day that is over, whether somebody connects or not."""
        self.keys.make_ahead(2)
        self.time += 5 * KEY_SECONDS
        self.keys.forget_old()
        self.assertEqual(self.keys._contexts, {})

    def test_life(self) -> None:
        """A ticket lives for hours, and never longer than keys do."""
        self.assertEqual(self.keys.context().get_timeout(), TICKET_SECONDS)
        self.assertLess(TICKET_SECONDS, KEY_SECONDS)
