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
        self.assertEqual([slots.take() for _ in range(3)], [True, True, False])
        first, second = slots.wait(), slots.wait()
        self.assertRaises(UpstreamUnavailable, slots.wait)
        self.assertNoResult(first)
        slots.free()
        self.successResultOf(first)
        self.assertNoResult(second)
        for _ in range(3):
            slots.free()
        self.successResultOf(second)
        self.assertEqual([slots.take() for _ in range(3)], [True, True, False])

    def test_who_leaves(self) -> None:
        """Who waits no more keeps no place."""
        slots = Slots(1, 1, "the oracle")
        self.assertTrue(slots.take())
        waiting = slots.wait()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        waiting = slots.wait()
        slots.free()
        self.successResultOf(waiting)

    def test_again(self) -> None:
        """Who has lost a place takes another one beyond the limit; both end."""
        slots = Slots(1, 1, "the oracle")
        self.assertTrue(slots.take())
        slots.take_again()
        waiting = slots.wait()
        slots.free()
        self.assertNoResult(waiting)
        slots.free()
        self.successResultOf(waiting)

    def test_many_that_fail_at_once(self) -> None:
        """Each who waits has a place in turn, however many give it back at once."""
        slots = Slots(1, 1024, "the oracle")
        self.assertTrue(slots.take())
        ended = [slots.wait().addCallback(lambda _: slots.free()) for _ in range(1024)]
        slots.free()
        for each in ended:
            self.successResultOf(each)
        self.assertEqual([slots.take() for _ in range(2)], [True, False])
