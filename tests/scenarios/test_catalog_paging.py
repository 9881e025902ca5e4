"""However an upstream pages its catalog, clients get every name once, and an end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.key_file import make_key
from regbroker.protocol.header_list import HeaderList
from regbroker.web.catalog_pages import (
    MAX_PAGES_WITHOUT_NEWS,
    CatalogPages,
    Place,
    PublicPage,
    Refused,
)
from regbroker.web.catalog_walks import (
    MAX_NAMES,
    REMEMBERED_SECONDS,
    UpstreamPage,
    Walks,
)
from regbroker.web.exchange import Exchange
from tests.listing import Listing
from tests.proxycase import ProxyTestCase
from tests.scripted import Call, response

NAMES = st.sampled_from([f"{a}/{b}" for a in ("acme", "other") for b in "abcdefgh"])

LISTINGS = st.builds(
    Listing,
    names=st.lists(NAMES, max_size=16),
    forwarded=st.sampled_from(["last", "token", "own-last", "offset"]),
    size=st.integers(1, 5),
    sizes=st.lists(st.integers(0, 3), max_size=6),
)


class Reply:
    """An answer with a page."""

    def __init__(self, status: int, names: list[str], following: str | None) -> None:
        self.status = status
        self.headers = HeaderList()
        if following is not None:
            link = f'</v2/_catalog?{following}>; rel="next"'
            self.headers.append((b"Link", link.encode()))
        self.body = json.dumps({"repositories": names}).encode()

    def abort(self) -> None:
        """Nothing is open."""


def exchanged(reply: Any) -> Exchange:
    """An exchange with this reply, of which nothing else is looked at."""
    unused: Any = None
    return Exchange(unused, unused, reply)


def to_public(name: str) -> str | None:
    """Names below `acme` are served."""
    return name.removeprefix("acme/") if name.startswith("acme/") else None


class PagesTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.walks = Walks(self.clock)

    def pages(self, listing: Listing) -> CatalogPages:
        """The pages of one upstream."""

        async def ask(query: str) -> Exchange:
            return exchanged(Reply(*listing.page(query)))

        async def gather(reply: Any) -> bytes:
            body: bytes = reply.body
            return body

        return CatalogPages("up", self.walks, "who", to_public, ask, gather, gather)

    def walk(self, listing: Listing, wanted: int | None, by_name: bool) -> list[str]:
        """All names that a client gets who reads to the end."""
        pages = self.pages(listing)
        found: list[str] = []
        place: Place | None = Place()
        for _ in range(200):
            if place is None:
                return found
            reading = Deferred.fromCoroutine(pages.read(wanted, place))
            page = self.successResultOf(reading)
            found += page.names
            place = page.following
            if place is not None and not page.is_opaque and by_name:
                # What a client knows is the last name.
                place = Place(after=f"acme/{found[-1]}")
        self.fail("the list has no end")


class PropertyTests(PagesTestCase):
    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(LISTINGS, st.none() | st.integers(1, 6), st.booleans())
    def test_once_and_to_the_end(
        self, listing: Listing, wanted: int | None, by_name: bool
    ) -> None:
        """Every served name once, whatever the pages and whatever the client's `n`."""
        self.setUp()
        with capturedLogs():
            found = self.walk(listing, wanted, by_name)
        expected = {n for n in map(to_public, listing.names) if n is not None}
        self.assertEqual((len(found), set(found)), (len(expected), expected))

    @given(LISTINGS, st.integers(1, 4))
    def test_order(self, listing: Listing, wanted: int) -> None:
        """Names stay in the upstream's order."""
        self.setUp()
        with capturedLogs():
            found = self.walk(listing, wanted, by_name=True)
        names = sorted(listing.names) if listing.forwarded == "last" else listing.names
        public = [n for n in map(to_public, names) if n is not None]
        self.assertEqual(found, list(dict.fromkeys(public)))


class WalksTests(PagesTestCase):
    def test_remembered(self) -> None:
        """A list in pages of one is read once in a minute."""
        names = [f"acme/{n:03}" for n in range(50)]
        for forwarded in ("token", "own-last"):
            listing = Listing(names, forwarded, size=10)
            self.setUp()
            self.assertEqual(len(self.walk(listing, 1, by_name=False)), 50)
            self.assertEqual(len(listing.asked), 5)
            self.walk(listing, 7, by_name=False)
            self.assertEqual(len(listing.asked), 5)
            self.clock.advance(REMEMBERED_SECONDS)
            self.walk(listing, 1, by_name=False)
            self.assertEqual(len(listing.asked), 10)

    def test_bare_last(self) -> None:
        """A client that makes its own `last` of the last name finds its place."""
        names = [f"acme/{n:03}" for n in range(30)]
        for forwarded in ("last", "token", "own-last", "offset"):
            listing = Listing(names, forwarded, size=7)
            self.setUp()
            pages = self.pages(listing)
            reading = pages.read(3, Place(after="acme/019"))
            page = self.successResultOf(Deferred.fromCoroutine(reading))
            self.assertEqual(page.names, ["020", "021", "022"], forwarded)

    def test_fewer_at_once(self) -> None:
        """An upstream that refuses so many is asked for less, or for no number."""
        names = [f"acme/{n:03}" for n in range(30)]
        for most in (999, 100, 99, 5):
            listing = Listing(names, "last", size=5, most=most)
            self.setUp()
            self.assertEqual(len(self.walk(listing, None, by_name=True)), 30)

    def test_refused(self) -> None:
        """What it refuses all the same is its answer."""
        listing = Listing([], "last", most=-1)
        listing.size = 0
        reading = Deferred.fromCoroutine(self.pages(listing).read(None, Place()))
        self.failureResultOf(reading, Refused)
        self.assertEqual(listing.asked[:2], ["n=1000", "n=100"])

    def test_circles(self) -> None:
        """A page that makes no progress ends the list, and the log says so."""
        first = UpstreamPage(("acme/a",), "next_page=1")
        for circle in (
            {"n=1000": first, "next_page=1": first},
            {"n=1000": first, "next_page=1": UpstreamPage((), "n=1000")},
            {"n=1000": first}
            | {
                f"next_page={n}": UpstreamPage(("acme/a",), f"next_page={n + 1}")
                for n in range(1, MAX_PAGES_WITHOUT_NEWS + 1)
            },
        ):
            self.setUp()
            with capturedLogs() as events:
                page = self.read(circle)
            self.assertEqual((page.names, page.following), (["a"], None))
            (event,) = events
            self.assertIn("circle", event["problem"])

    def test_empty_pages(self) -> None:
        """Pages whose names the upstream hides from us are no circle."""
        pages = {"n=1000": UpstreamPage((), "next_page=0")}
        for n in range(MAX_PAGES_WITHOUT_NEWS):
            pages[f"next_page={n}"] = UpstreamPage((), f"next_page={n + 1}")
        last = f"next_page={MAX_PAGES_WITHOUT_NEWS}"
        pages[last] = UpstreamPage(("acme/a",), None)
        page = self.read(pages)
        self.assertEqual((page.names, page.following), (["a"], None))

    def read(self, known: dict[str, UpstreamPage]) -> PublicPage:
        """Five names of an upstream with these pages, by their queries."""

        async def ask(query: str) -> Any:
            page = known[query]
            return exchanged(Reply(200, list(page.names), page.following))

        async def gather(reply: Any) -> bytes:
            body: bytes = reply.body
            return body

        pages = CatalogPages("up", self.walks, "who", to_public, ask, gather, gather)
        return self.successResultOf(Deferred.fromCoroutine(pages.read(5, Place())))

    def test_at_once(self) -> None:
        """Who asks for what is being read waits for that."""
        waiting: list[Deferred[UpstreamPage]] = []

        async def read() -> UpstreamPage:
            waiting.append(Deferred())
            return await waiting[-1]

        asking = [
            Deferred.fromCoroutine(self.walks.page("who", "n=1000", read))
            for _ in range(3)
        ]
        other = Deferred.fromCoroutine(self.walks.page("other", "n=1000", read))
        self.assertEqual(len(waiting), 2)
        waiting[0].callback(UpstreamPage((), None))
        for one in asking:
            self.successResultOf(one)
        self.assertNoResult(other)

    def test_bounded(self) -> None:
        """Of very many names the first walks are forgotten."""

        async def read() -> UpstreamPage:
            return UpstreamPage(tuple(map(str, range(MAX_NAMES // 2))), None)

        for who in "abc":
            self.successResultOf(
                Deferred.fromCoroutine(self.walks.page(who, "n=1000", read))
            )
        self.assertEqual(list(self.walks._walks), ["b", "c"])
        self.assertEqual(self.walks._names, MAX_NAMES)


class SealedTests(ProxyTestCase):
    """What our links carry."""

    registry = "* = acme/*"
    autostart = False

    async def set_up(self) -> None:
        await super().set_up()
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.main = f"signing-key = {make_key(directory)}"

    async def serve_list(self, listing: Listing) -> None:
        """Have the upstream page this."""

        def answer(call: Call) -> bytes:
            query = call.target.partition("?")[2]
            status, names, following = listing.page(query)
            links = []
            if following is not None:
                links = [f'Link: </v2/_catalog?{following}>; rel="next"']
            body = json.dumps({"repositories": names}).encode()
            return response(status, *links, body=body)

        self.upstream.handler = answer

    async def next_page(self, query: str) -> tuple[list[str], str]:
        """The names of a page, and the query of the next one."""
        reply = await self.client.ask("GET", f"/v2/_catalog{query}")
        self.assertEqual(reply.status, 200, reply.body)
        link = (reply.header(b"Link") or b"").decode()
        self.assertNotIn("acme", link)
        names: list[str] = reply.json()["repositories"]
        return names, link.partition("_catalog")[2].partition(">")[0]

    async def test_on_another_machine(self) -> None:
        """One with the same key goes on where the first has ended."""
        names = [f"acme/{n:03}" for n in range(130)]
        for forwarded in ("token", "own-last", "last"):
            await self.serve_list(Listing(names, forwarded, size=50))
            pages: list[list[str]] = []
            query = "?n=60"
            while query:
                await self.serve()
                self.client = await self.connect()
                found, query = await self.next_page(query)
                pages.append(found)
            self.assertEqual([len(page) for page in pages], [60, 60, 10], forwarded)
            found = [name for page in pages for name in page]
            self.assertEqual(found, [n.removeprefix("acme/") for n in names])

    async def test_forged(self) -> None:
        """What nobody has sealed is not looked at."""
        listing = Listing(["acme/a", "acme/b"], "token", size=1)
        await self.serve_list(listing)
        await self.serve()
        self.client = await self.connect()
        for place in ("x", "AAAA" * 20, ""):
            names, _ = await self.next_page(f"?n=1&place={place}")
            self.assertEqual(names, ["a"])
        self.assertEqual(set(listing.asked), {"n=1000"})
