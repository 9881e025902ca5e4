"""How much may be under way at once, and wait."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import UpstreamUnavailable
from regbroker.transport.client.slots import Slots


class SlotsTests(SynchronousTestCase):
    def test_in_turn(self) -> None:
        """Who comes first is let in first, as soon as there is a place."""
        slots = Slots(2, 2, "the oracle")
        taken = [self.successResultOf(slots.take()) for _ in range(2)]
        first, second = slots.take(), slots.take()
        self.assertRaises(UpstreamUnavailable, slots.take)
        self.assertNoResult(first)
        taken[0].free()
        taken[0].free()
        third = self.successResultOf(first)
        self.assertNoResult(second)
        taken[1].free()
        self.successResultOf(second).free()
        third.free()
        for _ in range(2):
            self.successResultOf(slots.take())
        self.assertNoResult(slots.take())

    def test_who_leaves(self) -> None:
        """Who waits no more keeps no place."""
        slots = Slots(1, 1, "the oracle")
        taken = self.successResultOf(slots.take())
        waiting = slots.take()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        waiting = slots.take()
        taken.free()
        self.successResultOf(waiting)
