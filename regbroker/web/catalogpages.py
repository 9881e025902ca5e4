"""
The pages of one upstream's catalog.

They are filled with names that no client here may see, so they are not ours: they
are read until ours is full. ``last`` is a repository name in both, so the place
where a page ends can be said in either's words.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from regbroker.bodies import catalog_names
from regbroker.connections import Reply
from regbroker.errors import UpstreamMalformed
from regbroker.queries import split_target, values

#: What is asked of the upstream at once, however few the client wants.
UPSTREAM_PAGE = 1000

#: An upstream with more pages than this without an end has no end.
MAX_PAGES = 100

Ask = Callable[[str], Awaitable[Reply]]
Gather = Callable[[Reply], Awaitable[bytes]]


class Refused(Exception):
    """The upstream answered with something else than a list."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


async def read_page(
    wanted: int | None,
    last: str | None,
    to_public: Callable[[str], str | None],
    ask: Ask,
    gather: Gather,
) -> tuple[list[str], bool]:
    """
    Return public names, `wanted` at most, and whether there may be more.

    Without `wanted` it is as many as the upstream gives at once. `last` is the
    upstream name to begin after. `to_public` leads back from an upstream name, to
    None for one that is not to be seen. `ask` sends a query to the upstream's
    catalog, `gather` reads the reply. Raises `Refused` with the upstream's reply
    when it is no 200.
    """
    names: list[str] = []
    for _ in range(MAX_PAGES):
        query = {"n": str(max(wanted or 0, UPSTREAM_PAGE))}
        if last:
            query["last"] = last
        reply = await ask(urlencode(query))
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
                rest = found[index + 1 :]
                return names, following is not None or any(map(to_public, rest))
        if following is None or following == last:
            return names, False
        if names and wanted is None:
            return names, True
        last = following
    if names:
        return names, True
    raise UpstreamMalformed("the upstream's catalog has no end")


def _following(reply: Reply) -> str | None:
    """Return the ``last`` of the upstream's link to its next page."""
    for value in reply.headers.getRawHeaders(b"Link", ()):
        match = re.match(r"\s*<([^>]*)>.*rel=\"?next", value.decode("latin-1"))
        if match:
            given = values(split_target(match[1])[1], "last")
            return given[0] if given else None
    return None
