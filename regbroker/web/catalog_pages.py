"""
One of our pages, out of those of one upstream's catalog.

The upstream's are filled with names that no client here may see, so they are not ours:
they are read until ours is full. Some upstreams page by the last name, which can be
said in either's words; the links of others are tokens that only they can read, and
one of ours carries them, sealed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from twisted.logger import Logger

from regbroker.protocol.bodies import catalog_names
from regbroker.protocol.names import CATALOG_PATH
from regbroker.protocol.next_links import LinkRefused, next_query, pages_by_name
from regbroker.transport.client.reply import Reply
from regbroker.web.catalog_walks import MAX_NAMES, UpstreamPage, Walk, Walks
from regbroker.web.exchange import Exchange

#: What is asked of the upstream at once, however few the client wants: 1000, and less
#: from one that refuses so many.
UPSTREAM_PAGES = ("1000", "100", "")

#: So many of the upstream's pages are read for one of ours, and no more of them after
#: so many names.
MAX_PAGES = 100
MAX_NAMES_READ = MAX_NAMES

#: So many pages in a row that have nothing new are no list any more. Some lists have a
#: name several times, so that one such page says nothing.
MAX_PAGES_WITHOUT_NEWS = 20


Ask = Callable[[str], Awaitable[Exchange]]
Gather = Callable[[Reply], Awaitable[bytes]]

_log = Logger()


class Refused(Exception):
    """
    The upstream answered with something else than a list.

    `body` has been read: whoever wants the same page at the same time is told, too.
    """

    def __init__(self, exchange: Exchange, body: bytes) -> None:
        super().__init__(exchange.reply.status)
        self.exchange = exchange
        self.body = body


@dataclass(frozen=True)
class Place:
    """
    Where a page of ours begins: in an upstream's page, after one of its names.

    `query` is that page's, None for wherever the name is; `after` is empty for its
    beginning.
    """

    query: str | None = None
    after: str = ""


@dataclass(frozen=True)
class PublicPage:
    """
    Public names, and where the next page begins; None at the end.

    `is_opaque` says that the upstream's name alone would not lead there.
    """

    names: list[str]
    following: Place | None = None
    is_opaque: bool = False


class CatalogPages:
    """
    The pages of one upstream for one account, the `key` of its walks.

    `upstream` is its section's name. `to_public` leads back from an upstream name, to
    None for one that is not to be seen. `ask` sends a query to the upstream's catalog,
    `gather` reads a list in the reply, and `gather_error` the body of an error.
    """

    def __init__(
        self,
        upstream: str,
        walks: Walks,
        key: object,
        to_public: Callable[[str], str | None],
        ask: Ask,
        gather: Gather,
        gather_error: Gather,
    ) -> None:
        self._upstream = upstream
        self._walks = walks
        self._key = (upstream, key)
        self._to_public = to_public
        self._ask = ask
        self._gather = gather
        self._gather_error = gather_error

    async def read(self, wanted: int | None, place: Place) -> PublicPage:
        """
        Return public names, `wanted` at most, from a place on.

        Without `wanted` it is as many as the upstream gives at once. Raises `Refused`
        with the upstream's reply when it is no 200, and `UpstreamError`.
        """
        query, skipping = await self._start(place)
        after = place.after
        names: list[str] = []
        is_opaque = False
        seen = set(self._walk.names_before(query))
        read: set[str] = set()
        without_news = count = 0
        for _ in range(MAX_PAGES):
            page = await self._page(query)
            read.add(query)
            count += len(page.names)
            has_news = not page.names or not seen.issuperset(page.names)
            without_news = 0 if has_news else without_news + 1
            following = self._progress(page, read, without_news)
            upstream_names = page.names
            is_opaque = is_opaque or not self._is_by_name(page)
            if after and after in upstream_names:
                cut = upstream_names.index(after) + 1
                seen.update(upstream_names[:cut])
                upstream_names, after = upstream_names[cut:], ""
            elif after and skipping:
                seen.update(upstream_names)
                upstream_names = ()
            for index, upstream_name in enumerate(upstream_names):
                if upstream_name in seen:
                    continue
                seen.add(upstream_name)
                name = self._to_public(upstream_name)
                if name is None:
                    continue
                names.append(name)
                if len(names) == wanted:
                    more = (n for n in upstream_names[index + 1 :] if n not in seen)
                    if following is None and not any(map(self._to_public, more)):
                        return PublicPage(names)
                    return PublicPage(names, Place(query, upstream_name), is_opaque)
            if following is None:
                return PublicPage(names)
            self._walk.before.setdefault(following, query)
            query = following
            if (names and wanted is None) or count >= MAX_NAMES_READ:
                break
        # Without a name to say it by, only the query says where to go on.
        return PublicPage(names, Place(query), is_opaque or not names)

    @property
    def _walk(self) -> Walk:
        return self._walks.walk(self._key)

    async def _start(self, place: Place) -> tuple[str, bool]:
        """Return the first query, and whether to skip what comes before the name."""
        if place.query is not None:
            return place.query, False
        first = _query()
        if not place.after:
            return first, False
        known = self._walk.find(place.after)
        if known is not None:
            return known, False
        query = _query(place.after)
        try:
            if self._is_by_name(await self._page(query)):
                return query, False
        except Refused as refused:
            if refused.exchange.reply.status != 400:
                raise
        # What begins after a name there, nobody can say: it is looked for.
        return first, True

    def _is_by_name(self, page: UpstreamPage) -> bool:
        return page.following is None or pages_by_name(page.following, page.names)

    def _progress(
        self, page: UpstreamPage, read: set[str], without_news: int
    ) -> str | None:
        """Return the query of the next page, None if that leads nowhere."""
        following = page.following
        if following is None:
            return None
        if following in read or without_news >= MAX_PAGES_WITHOUT_NEWS:
            self._warn("goes round in a circle")
            return None
        return following

    async def _page(self, query: str) -> UpstreamPage:
        return await self._walks.page(self._key, query, lambda: self._read_page(query))

    async def _read_page(self, query: str) -> UpstreamPage:
        for asked in _smaller(query):
            exchange = await self._ask(asked)
            reply = exchange.reply
            if reply.status != 400 or (asked == query and not _is_ours(query)):
                break
            reply.abort()
        if reply.status != 200:
            raise Refused(exchange, await self._gather_error(reply))
        names = tuple(catalog_names(await self._gather(reply)))
        links = reply.headers.all(b"link")
        try:
            following = next_query(
                (value.decode("latin-1") for value in links), CATALOG_PATH
            )
        except LinkRefused as refused:
            self._warn(f"ends here, since the link to more cannot be used: {refused}")
            following = None
        return UpstreamPage(names, following)

    def _warn(self, problem: str) -> None:
        _log.warn(
            "[upstream {name}]: its catalog {problem}",
            name=self._upstream,
            problem=problem,
        )


def _query(last: str = "") -> str:
    """Return a query of our own, which the upstream has not written."""
    parameters = {"n": UPSTREAM_PAGES[0]} | ({"last": last} if last else {})
    return urlencode(parameters)


def _is_ours(query: str) -> bool:
    return query.startswith(f"n={UPSTREAM_PAGES[0]}")


def _smaller(query: str) -> list[str]:
    """Return a query, and what to ask an upstream that refuses so many at once."""
    ours = f"n={UPSTREAM_PAGES[0]}"
    if not _is_ours(query):
        return [query]
    rest = query[len(ours) :]
    smaller = (f"n={n}{rest}" if n else rest.lstrip("&") for n in UPSTREAM_PAGES[1:])
    return [query, *smaller]


def read_state(document: Any) -> tuple[int, str, Place] | None:
    """Return what `written_state` has written: a list's index, an upstream, a place."""
    match document:
        case [int(group), str(upstream), str(query), str(after)]:
            return group, upstream, Place(query, after)
    return None


def written_state(group: int, upstream: str, place: Place) -> list[object]:
    """Return a place in an upstream's list, as JSON has it."""
    return [group, upstream, place.query or "", place.after]
