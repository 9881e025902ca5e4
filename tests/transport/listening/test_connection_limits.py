"""How many connections there may be."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.listening.connection_limits import (
    MAX_DEFAULT_TOTAL,
    MAX_NOTED,
    ConnectionLimits,
    Occupancy,
    Refusal,
    Refusals,
    connection_limits,
    most_connections,
    reserve,
)


class LimitsTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """Half of what the reserve leaves; a quarter of that for each address."""
        for descriptors, total, per_address in (
            (1024, 448, 112),
            (20_000, 8750, 2187),
            (1_048_576, MAX_DEFAULT_TOTAL, 5000),
            (None, MAX_DEFAULT_TOTAL, 5000),
            (256, 96, 24),
            (64, 8, 2),
            (10, 8, 2),
        ):
            self.assertEqual(
                connection_limits(descriptors),
                ConnectionLimits(total, per_address),
                descriptors,
            )

    def test_written(self) -> None:
        """What the operator writes counts."""
        self.assertEqual(connection_limits(1024, 5000), ConnectionLimits(5000, 1250))
        self.assertEqual(connection_limits(1024, None, 3), ConnectionLimits(448, 3))
        self.assertEqual(connection_limits(None, 2), ConnectionLimits(2, 1))

    @given(st.integers(80, 10**7))
    def test_descriptors_are_enough(self, descriptors: int) -> None:
        """Two for each connection, and the reserve."""
        needed = 2 * most_connections(descriptors) + reserve(descriptors)
        self.assertLessEqual(needed, descriptors)


class OccupancyTests(SynchronousTestCase):
    def test_total(self) -> None:
        """Wherever they come from."""
        occupancy = Occupancy(ConnectionLimits(2, 2))
        for address in ("a", None):
            self.assertIsNone(occupancy.refusal(address))
            occupancy.enter(address)
        for address in ("a", "b", None):
            self.assertEqual(occupancy.refusal(address), Refusal.TOTAL)
        occupancy.leave(None)
        self.assertIsNone(occupancy.refusal("b"))

    def test_per_address(self) -> None:
        """One address does not take what others have."""
        occupancy = Occupancy(ConnectionLimits(10, 2))
        for _ in range(2):
            occupancy.enter("a")
        self.assertEqual(occupancy.refusal("a"), Refusal.ADDRESS)
        self.assertIsNone(occupancy.refusal("b"))
        self.assertIsNone(occupancy.refusal(None))
        occupancy.leave("a")
        self.assertIsNone(occupancy.refusal("a"))
        occupancy.leave("a")
        self.assertEqual((occupancy.total, occupancy.from_address("a")), (0, 0))

    def test_address_told_later(self) -> None:
        """One that is counted already may belong to an address that has enough."""
        occupancy = Occupancy(ConnectionLimits(2, 1))
        occupancy.enter(None)
        self.assertIsNone(occupancy.refusal_of("a"))
        occupancy.belongs_to("a")
        occupancy.enter(None)
        self.assertEqual(occupancy.refusal_of("a"), Refusal.ADDRESS)
        self.assertIsNone(occupancy.refusal_of("b"))

    @given(st.lists(st.sampled_from("abc"), max_size=60))
    def test_comes_and_goes(self, addresses: list[str]) -> None:
        """The count is of those that are there, and within the limits."""
        occupancy = Occupancy(ConnectionLimits(5, 2))
        here: list[str] = []
        for address in addresses:
            if occupancy.refusal(address) is None:
                occupancy.enter(address)
                here.append(address)
            else:
                gone = here.pop(0)
                occupancy.leave(gone)
            self.assertEqual(occupancy.total, len(here))
            self.assertLessEqual(len(here), 5)
            for each in "abc":
                self.assertEqual(occupancy.from_address(each), here.count(each))
                self.assertLessEqual(here.count(each), 2)


class RefusalsTests(SynchronousTestCase):
    limits = ConnectionLimits(448, 112)

    def test_told(self) -> None:
        """Which limit, how often, and who most of all."""
        refusals = Refusals()
        self.assertFalse(refusals)
        for address in ("192.0.2.7", "192.0.2.7", "192.0.2.8"):
            refusals.note(Refusal.ADDRESS, address)
        refusals.note(Refusal.TOTAL, None)
        self.assertTrue(refusals)
        self.assertEqual(
            refusals.take(self.limits),
            "1 beyond max-connections = 448, 3 beyond max-connections-per-address = "
            "112; 2 from 192.0.2.7, fewer from 1 other address",
        )
        self.assertFalse(refusals)

    def test_others(self) -> None:
        """Two others are addresses."""
        refusals = Refusals()
        for address in ("192.0.2.7", "192.0.2.7", "192.0.2.8", "192.0.2.9"):
            refusals.note(Refusal.TOTAL, address)
        self.assertEqual(
            refusals.take(self.limits),
            "4 beyond max-connections = 448; 2 from 192.0.2.7, fewer from 2 other "
            "addresses",
        )

    def test_without_addresses(self) -> None:
        """A proxy is not the client."""
        refusals = Refusals()
        refusals.note(Refusal.TOTAL, None)
        self.assertEqual(refusals.take(self.limits), "1 beyond max-connections = 448")

    def test_many_addresses(self) -> None:
        """Memory is bounded; the count is right all the same."""
        refusals = Refusals()
        for number in range(MAX_NOTED + 500):
            refusals.note(Refusal.TOTAL, f"address {number}")
        text = refusals.take(self.limits)
        self.assertIn(f"{MAX_NOTED + 500} beyond", text)
        self.assertIn(f"{MAX_NOTED - 1} other addresses", text)
