"""
Walks through an upstream's catalog: its pages, remembered for a minute.

Clients read a catalog in small pages, and each of ours may need many of the
upstream's, filled with names that nobody here may see. So a page that was read a
moment ago, or is being read, serves all requests for it. What one account sees is shown
to no other account.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.interfaces import IReactorTime

from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.runtime.single_flight import Coalescer

#: A repository that was pushed a moment ago is in the list after this long at most.
REMEMBERED_SECONDS = 60.0

#: Names in all walks together; the walk that was begun first is forgotten first.
MAX_NAMES = 200_000
MAX_WALKS = 64

#: Names in one walk, which may have more than that while it is alone: the page that was
#: read first is forgotten first. A list without an end, of names of eight letters, took
#: 180 MiB.
MAX_NAMES_OF_ONE = 5 * MAX_NAMES

#: A page of an upstream that looks through everything it has.
PAGE_SECONDS = 900.0


@dataclass(frozen=True)
class UpstreamPage:
    """Upstream names, and the query of the next page; None for the last one."""

    names: tuple[str, ...]
    following: str | None


@dataclass
class Walk:
    """
    The pages of one account at one upstream, by their queries.

    `before` leads from a page's query to that of the page before it.
    """

    pages: dict[str, UpstreamPage] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many names it has, those that stand there twice counted twice."""
        return sum(len(page.names) for page in self.pages.values())

    def find(self, name: str) -> str | None:
        """Return the query of the page that has a name."""
        for query, page in self.pages.items():
            if name in page.names:
                return query
        return None

    def names_before(self, query: str) -> Iterator[str]:
        """Yield the names of the pages that came before one."""
        seen = {query}
        while (query := self.before.get(query, query)) not in seen:
            seen.add(query)
            yield from self.pages[query].names if query in self.pages else ()


Read = Callable[[], Coroutine[Any, Any, UpstreamPage]]


class Walks:
    """Remembers walks by account; `clock` is the reactor."""

    def __init__(self, clock: IReactorTime) -> None:
        self._walks: BoundedMemory[Hashable, Walk] = BoundedMemory(
            MAX_WALKS,
            now=clock.seconds,
            max_age=REMEMBERED_SECONDS,
            on_leave=self._forget_names,
        )
        self._names = 0
        self._reading: Coalescer[UpstreamPage] = Coalescer(clock, PAGE_SECONDS)

    def walk(self, key: Hashable) -> Walk:
        """Return an account's walk, as far as it is remembered."""
        walk = self._walks.get(key)
        if walk is None:
            walk = Walk()
            self._walks.put(key, walk)
        return walk

    async def page(self, key: Hashable, query: str, read: Read) -> UpstreamPage:
        """Return a page that is remembered, is being read, or that `read` reads."""
        walk = self.walk(key)
        if query not in walk.pages:
            page = await self._reading.run((key, query), read)
            if query not in walk.pages and self._walks.get(key) is walk:
                self._keep(walk, query, page)
            while self._names > MAX_NAMES and len(self._walks) > 1:
                self._walks.pop_oldest()
            return page
        return walk.pages[query]

    def _keep(self, walk: Walk, query: str, page: UpstreamPage) -> None:
        walk.pages[query] = page
        self._names += len(page.names)
        size = walk.size
        while size > MAX_NAMES_OF_ONE and len(walk.pages) > 1:
            first = len(walk.pages.pop(next(iter(walk.pages))).names)
            self._names -= first
            size -= first

    def _forget_names(self, _: Hashable, walk: Walk) -> None:
        self._names -= walk.size
