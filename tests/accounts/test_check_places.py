"""Places for password checks: bounded in all, and for one address."""

from contextlib import ExitStack

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.check_places import CheckPlaces, too_many
from regbroker.errors import TooManyRequests


class CheckPlacesTests(SynchronousTestCase):
    def hold(self, places: CheckPlaces, *addresses: str) -> ExitStack:
        """Hold a place for each of these addresses, until it is closed."""
        held = ExitStack()
        self.addCleanup(held.close)
        for address in addresses:
            held.enter_context(places.place(address))
        return held

    def assert_full(self, places: CheckPlaces, address: str) -> None:
        """There is no place for an address."""
        with self.assertRaises(TooManyRequests) as caught, places.place(address):
            self.fail("there was a place")
        self.assertEqual(caught.exception.header(b"Retry-After"), "1")

    def test_size(self) -> None:
        """There are so many places for all."""
        places = CheckPlaces(2, 2)
        self.hold(places, "192.0.2.1", "192.0.2.2")
        self.assert_full(places, "192.0.2.3")

    def test_share(self) -> None:
        """One address has no more than its share."""
        places = CheckPlaces(4, 2)
        self.hold(places, "192.0.2.1", "192.0.2.1")
        self.assert_full(places, "192.0.2.1")
        self.hold(places, "192.0.2.2")

    def test_network(self) -> None:
        """The addresses of one IPv6 network share their places."""
        places = CheckPlaces(4, 1)
        self.hold(places, "2001:db8::1")
        self.assert_full(places, "2001:db8::2")
        self.hold(places, "2001:db8:1::1")

    def test_given_back(self) -> None:
        """A place is free again after the check, also after one that failed."""
        places = CheckPlaces(1, 1)
        self.hold(places, "192.0.2.1").close()
        with self.assertRaises(OSError), places.place("192.0.2.1"):
            raise OSError
        self.hold(places, "192.0.2.1")

    def test_refusal(self) -> None:
        """The refusal says when to try again, to people and to programs."""
        error = too_many("too many passwords are being checked", 7)
        self.assertEqual(error.status, 429)
        self.assertEqual(error.header(b"Retry-After"), "7")
        self.assertEqual(
            error.message, "too many passwords are being checked; try again in 7 s"
        )
