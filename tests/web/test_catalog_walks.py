"""The pages of an upstream's catalog, remembered for a minute."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import UpstreamUnavailable
from regbroker.web.catalog_walks import (
    MAX_NAMES,
    MAX_NAMES_OF_ONE,
    MAX_WALKS,
    REMEMBERED_SECONDS,
    UpstreamPage,
    Walk,
    Walks,
)

FIRST = UpstreamPage(("a", "b"), "n=2&last=b")
SECOND = UpstreamPage(("c",), None)


class WalkTests(SynchronousTestCase):
    def test_find(self) -> None:
        """A name leads to the page that has it."""
        walk = Walk({"n=2": FIRST, "n=2&last=b": SECOND})
        self.assertEqual(walk.find("b"), "n=2")
        self.assertEqual(walk.find("c"), "n=2&last=b")
        self.assertIsNone(walk.find("d"))

    def test_names_before(self) -> None:
        """The names of the pages before one; pages in a circle are an end."""
        walk = Walk({"1": FIRST, "2": SECOND}, {"2": "1", "3": "2"})
        self.assertEqual(list(walk.names_before("3")), ["c", "a", "b"])
        self.assertEqual(list(walk.names_before("1")), [])
        walk.before["1"] = "3"
        self.assertEqual(list(walk.names_before("3")), ["c", "a", "b"])


class WalksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.walks = Walks(self.clock)
        self.reads = 0

    async def read(self) -> UpstreamPage:
        """Read the first page."""
        self.reads += 1
        return FIRST

    def page(self, key: str = "alice", query: str = "n=2") -> UpstreamPage:
        """A page, which is there at once."""
        reading = self.walks.page(key, query, self.read)
        return self.successResultOf(Deferred.fromCoroutine(reading))

    def test_remembered(self) -> None:
        """It is read once in a minute, for each account."""
        for _ in range(3):
            self.assertEqual(self.page(), FIRST)
        self.assertEqual(self.reads, 1)
        self.page("bob")
        self.assertEqual(self.reads, 2)
        self.clock.advance(REMEMBERED_SECONDS)
        self.page()
        self.assertEqual(self.reads, 3)

    def test_at_once(self) -> None:
        """Those who ask for a page at the same time share one read."""
        answer: Deferred[UpstreamPage] = Deferred()

        async def read() -> UpstreamPage:
            self.reads += 1
            return await answer

        readings = [
            Deferred.fromCoroutine(self.walks.page("alice", "n=2", read))
            for _ in range(3)
        ]
        answer.callback(FIRST)
        self.assertEqual([self.successResultOf(one) for one in readings], [FIRST] * 3)
        self.assertEqual(self.reads, 1)

    def test_failure(self) -> None:
        """A page that could not be read is read anew."""

        async def fail() -> UpstreamPage:
            raise UpstreamUnavailable("down")

        reading = Deferred.fromCoroutine(self.walks.page("alice", "n=2", fail))
        self.failureResultOf(reading, UpstreamUnavailable)
        self.assertEqual(self.page(), FIRST)

    def test_bounded(self) -> None:
        """The walks that were begun first are forgotten, by count and by names."""
        for number in range(MAX_WALKS + 1):
            self.page(f"user {number}")
        self.page("user 0")
        self.assertEqual(self.reads, MAX_WALKS + 2)
        many = UpstreamPage(tuple(map(str, range(MAX_NAMES))), None)

        async def read_many() -> UpstreamPage:
            return many

        reading = self.walks.page("many", "n=2", read_many)
        self.successResultOf(Deferred.fromCoroutine(reading))
        self.page("user 0")
        self.assertEqual(self.reads, MAX_WALKS + 3)

    def test_forgotten_names(self) -> None:
        """What is forgotten makes room; one account may have as much as there is."""
        half = UpstreamPage(tuple(map(str, range(MAX_NAMES // 2 + 1))), None)

        async def read() -> UpstreamPage:
            self.reads += 1
            return half

        def keep(key: str, query: str) -> None:
            reading = self.walks.page(key, query, read)
            self.successResultOf(Deferred.fromCoroutine(reading))

        for query in ("1", "2", "1", "2"):
            keep("alice", query)
        self.assertEqual(self.reads, 2)
        # Alice's walk gives way to this one, and the next two have room.
        for key in ("bob", "bob"):
            keep(key, "1")
        self.page("carol")
        self.page("carol")
        self.assertEqual(self.reads, 4)
        keep("bob", "1")
        self.assertEqual(self.reads, 4)

    def test_one_alone(self) -> None:
        """A list without an end takes a bounded room: its first pages are forgotten."""
        pages = MAX_NAMES_OF_ONE // MAX_NAMES + 2

        async def read(number: int) -> UpstreamPage:
            names = map(str, range(number * MAX_NAMES, (number + 1) * MAX_NAMES))
            return UpstreamPage(tuple(names), None)

        for number in range(pages):
            reading = self.walks.page("alice", f"{number}", partial(read, number))
            self.successResultOf(Deferred.fromCoroutine(reading))
        walk = self.walks.walk("alice")
        self.assertEqual(walk.size, MAX_NAMES_OF_ONE)
        self.assertIsNone(walk.find("0"))
        self.assertEqual(walk.find(str(pages * MAX_NAMES - 1)), f"{pages - 1}")
