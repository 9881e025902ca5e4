"""
``Link: …; rel="next"`` of a list, as registries write it (RFC 8288, and not).

The query of such a link is the upstream's own: some page by a name, some by a token
that only they can read. So it goes back to them byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urljoin

from regbroker.protocol.queries import split_target, values

MAX_QUERY_LENGTH = 8 * 1024

#: The target of one link, with ``< >`` or as old Quays write it.
_TARGET = re.compile(
    r"[\s,]*(?:<([^<>]*)>|([^<>\s,][^<>\s]*?)(?=\s*;\s*rel\s*=|\s*$))",
    re.IGNORECASE,
)

#: Its parameters, up to the next link. They can be read in one way alone, and no other
#: target is looked for where they make no sense: whatever a value is, it is read once.
_PARAMETERS = re.compile(r"\s*((?:;(?:[^,\"]|\"[^\"]*\")*)?)(?:,|$)")

_REL = re.compile(
    r";\s*rel\s*=\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<plain>[^\s;,\"]+))", re.IGNORECASE
)


class LinkRefused(ValueError):
    """A link to the next page leads to somewhere else."""


def next_query(links: Iterable[str], asked: str) -> str | None:
    """
    Return the query of the link to the next page; None without one.

    `links` are the values of all ``Link`` headers; `asked` is the target that was
    asked for, whose path the next page has, whatever host the link names. Raises
    `LinkRefused`.
    """
    for value in links:
        for target, parameters in _links(value):
            relation = _REL.search(parameters)
            # Some say nothing of what the only link is for.
            if relation is not None and "next" not in (
                (relation["quoted"] or relation["plain"] or "").lower().split()
            ):
                continue
            return _query(target, asked)
    return None


def _links(value: str) -> Iterator[tuple[str, str]]:
    """Yield the target and the parameters of each link, as far as they make sense."""
    position = 0
    while (target := _TARGET.match(value, position)) is not None:
        parameters = _PARAMETERS.match(value, target.end())
        if parameters is None:
            return
        yield target[1] if target[1] is not None else target[2], parameters[1]
        position = parameters.end()


def _query(reference: str, asked: str) -> str:
    path, _ = split_target(asked)
    target = urljoin(f"http://host{path}", reference)
    match = re.match(r"[a-z][a-z0-9+.-]*://[^/?#]*([^?#]*)\??([^#]*)", target)
    # Behind a proxy that takes a path away, the end of it is what counts.
    if match is None or not (match[1] or "/").endswith(path):
        raise LinkRefused("it leads to another path")
    query = match[2]
    if len(query) > MAX_QUERY_LENGTH or not re.fullmatch(r"[!-~]*", query):
        raise LinkRefused("its query is too long, or no ASCII text")
    return query


def pages_by_name(query: str, names: tuple[str, ...]) -> bool:
    """Tell whether the next page begins after the last of these names, and says so."""
    return bool(names) and values(query, "last")[:1] == [names[-1]]


def leads_back(link: str, asked: str) -> bool:
    """Tell whether the link to the next page is to the page that was asked for."""
    path, query = split_target(asked)
    try:
        return next_query([link], path) == query
    except LinkRefused:
        return False
