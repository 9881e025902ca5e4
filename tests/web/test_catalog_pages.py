"""One page of ours, out of the pages of an upstream's catalog."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.web.catalog_pages import (
    MAX_NAMES_READ,
    Place,
    PublicPage,
    read_state,
    written_state,
)
from regbroker.web.catalog_walks import Walks
from tests.listing import Listing
from tests.scenarios.test_catalog_paging import PagesTestCase


class ReadTests(PagesTestCase):
    def read(
        self, listing: Listing, wanted: int | None, place: Place | None = None
    ) -> PublicPage:
        """A page, from a place on; nothing is remembered of earlier ones."""
        self.walks = Walks(Clock())
        reading = self.pages(listing).read(wanted, place or Place())
        return self.successResultOf(Deferred.fromCoroutine(reading))

    def test_filled(self) -> None:
        """It is filled from several of the upstream's, without what is not seen."""
        names = ["aaa", "acme/a", "acme/c", "acme/d"]
        page = self.read(Listing(names, "last", size=1), 2)
        self.assertEqual(page.names, ["a", "c"])
        self.assertEqual(page.following, Place("last=acme/a&n=1", "acme/c"))
        self.assertFalse(page.is_opaque)

    def test_end(self) -> None:
        """The last page has no link, also where only unseen names would follow."""
        page = self.read(Listing(["acme/a", "other/b"], size=10), 1)
        self.assertEqual(page, PublicPage(["a"]))

    def test_next_name(self) -> None:
        """A full page leads on where a name is left: the next one, or a later one."""
        for names in (["acme/a", "acme/b"], ["acme/a", "other/x", "acme/b"]):
            listing = Listing(names, size=10)
            page = self.read(listing, 1)
            self.assertEqual(page.names, ["a"])
            assert page.following is not None
            self.assertEqual(page.following.after, "acme/a")
            self.assertEqual(self.read(listing, 1, page.following).names, ["b"])

    def test_opaque(self) -> None:
        """Where the upstream's links are tokens, the name alone does not lead on."""
        page = self.read(Listing(["acme/a", "acme/b"], "token", size=1), 1)
        self.assertTrue(page.is_opaque)

    def test_whole_page(self) -> None:
        """Without a number it is as many as the upstream gives at once."""
        page = self.read(Listing(["acme/a", "acme/b", "acme/c"], size=2), None)
        self.assertEqual(page.names, ["a", "b"])

    def test_many_names(self) -> None:
        """After so many names nothing more is read, whether or not any is seen."""
        size = MAX_NAMES_READ // 2
        names = [f"b{n:07}" for n in range(4 * size)]
        listing = Listing(names, "token", sizes=(size,) * 4)
        page = self.read(listing, 1)
        self.assertEqual(len(listing.asked), 2)
        assert page.following is not None
        self.assertEqual((page.names, page.is_opaque), ([], True))
        self.read(listing, 1, page.following)
        self.assertEqual(len(listing.asked), 4)

    def test_goes_on(self) -> None:
        """A page begins after the name of its place."""
        listing = Listing(["acme/a", "acme/b", "acme/c"], size=10)
        page = self.read(listing, 1, Place(after="acme/a"))
        self.assertEqual(page.names, ["b"])


class StateTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        """What a link carries is read as it was written, and nothing else is."""
        for place in (Place("n=1", "acme/a"), Place("n=1")):
            state = written_state(2, "up", place)
            self.assertEqual(read_state(state), (2, "up", place))
        for document in (None, [], [1, "up", "q"], ["1", "up", "q", "a"], {"a": 1}):
            self.assertIsNone(read_state(document))
