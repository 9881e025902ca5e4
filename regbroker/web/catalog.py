"""
``/v2/_catalog``: the upstream's repositories that are served here.

The upstream's pages are filled with names that no client here may see, so its
pages are not ours: they are read until ours is full. ``last`` is a repository
name in both, so the place where a page ends can be said in either's words.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlencode

from regbroker.bodies import catalog_names
from regbroker.connections import Reply
from regbroker.errors import BadRequest, UpstreamMalformed
from regbroker.mapping import Route
from regbroker.queries import split_target, values
from regbroker.sources import with_source

#: What is asked of the upstream at once, however few the client wants.
UPSTREAM_PAGE = 1000

#: An upstream with more pages than this without an end has no end.
MAX_PAGES = 100

#: What a client gets at once, however much it wants.
MAX_PAGE = 1000

Ask = Callable[[str], Awaitable[Reply]]
Gather = Callable[[Reply], Awaitable[bytes]]


class Page:
    """A page for the client: public names, and where the next one starts."""

    def __init__(self, names: list[str], link: str | None) -> None:
        self.names = names
        self.link = link


class Refused(Exception):
    """The upstream answered with something else than a list."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


async def read_page(
    query: str,
    route: Callable[[str], Route],
    to_public: Callable[[str], str | None],
    ask: Ask,
    gather: Gather,
    source: str = "",
) -> Page:
    """
    Return the page that a client's query wants.

    `route` leads from a public name to the upstream's, `to_public` back, to
    None for a name that is not to be seen. `ask` sends a query to the
    upstream's catalog, `gather` reads the reply; `source` is what the client takes
    us for. Raises `Refused` with the
    upstream's reply when it is no 200, `BadRequest` for a query that makes no
    sense, `NameUnknown` for a ``last`` that is not served here.
    """
    wanted = _wanted(query)
    last = _last_upstream(query, route)
    names: list[str] = []
    for _ in range(MAX_PAGES):
        upstream_query = {"n": str(max(wanted or 0, UPSTREAM_PAGE))}
        if last:
            upstream_query["last"] = last
        reply = await ask(urlencode(upstream_query))
        if reply.status != 200:
            raise Refused(reply)
        found = catalog_names(await gather(reply))
        following = _following(reply)
        for index, upstream_name in enumerate(found):
            name = to_public(upstream_name)
            if name is None:
                continue
            names.append(name)
            if len(names) == wanted:
                more = index + 1 < len(found) or following is not None
                return Page(names, _link(name, wanted, source) if more else None)
        if following is None or following == last:
            return Page(names, None)
        if names and wanted is None:
            return Page(names, _link(names[-1], None, source))
        last = following
    if names:
        return Page(names, _link(names[-1], wanted, source))
    raise UpstreamMalformed("the upstream's catalog has no end")


def _wanted(query: str) -> int | None:
    given = values(query, "n")
    if not given:
        return None
    if not re.fullmatch(r"\d{1,9}", given[0]) or int(given[0]) == 0:
        raise BadRequest("n is the number of repositories wanted, from 1")
    return min(int(given[0]), MAX_PAGE)


def _last_upstream(query: str, route: Callable[[str], Route]) -> str | None:
    given = values(query, "last")
    return route(given[0]).upstream_name if given and given[0] else None


def _following(reply: Reply) -> str | None:
    """Return the ``last`` of the upstream's link to its next page."""
    for value in reply.headers.getRawHeaders(b"Link", ()):
        match = re.match(r"\s*<([^>]*)>.*rel=\"?next", value.decode("latin-1"))
        if match:
            given = values(split_target(match[1])[1], "last")
            return given[0] if given else None
    return None


def _link(last: str, wanted: int | None, source: str) -> str:
    count = "" if wanted is None else f"&n={wanted}"
    url = with_source(f"/v2/_catalog?last={quote(last, safe='')}{count}", source)
    return f'<{url}>; rel="next"'
