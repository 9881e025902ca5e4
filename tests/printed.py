"""
The pages of the documentation that are printed from tables in the code.

``make docs`` writes them anew; `tests.test_printed` fails when they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from regbroker.headertable import HOP_BY_HOP, OPEN, REPLIES, REQUESTS, Row, Way

DOCS = Path(__file__).resolve().parent.parent / "docs"

HEADERS = """\
# Which headers go where

Printed by `make docs` from `regbroker/headertable.py`, from which all code takes its
decisions. *passes*: as it came. *anew*: regbroker writes it. *no*: it ends here. A name
with a star stands for all that begin so and have no row of their own.

## In both directions: these end with their connection

Also what a `Connection` header names (RFC 9110, 7.6.1).

{hop_by_hop}

## Requests

*As itself*: to an upstream where the client's account is. *As us*: to an upstream
where regbroker speaks, with an account of its own or nobody's. *Storage*: to another
server that an upstream redirects to, with `redirects = follow`. *Of a list*, *of an
upload*: what differs there. *Pages*: web pages may send it (`cors-origins`). What has
no row ends here, and so does a name with an underscore: servers behind CGI take it for
one with a hyphen.

{requests}

## Replies

*Client*: an upstream's reply. *Followed*: what the client is told of a redirect that is
followed, beside what the storage says. *Storage*: a storage's reply; *busy* (429, 503)
and *no range* (416): the same when it refuses. *Limits*: the reply of a token service,
and of an upstream to what regbroker asks for itself. *Our body*: what differs with a
body that regbroker writes: errors, tag lists. *Pages*: web pages may see it. What has
no row passes from the upstream to the client, and ends here else.

{replies}
"""


#: Kinds of messages: their columns say where a header goes after all not.
NARROW = (Way.LIST, Way.UPLOAD, Way.OUR_BODY)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(row: Row, way: Way) -> str:
    if row.goes(way):
        return "" if way in NARROW else "passes"
    return "anew" if row.anew & way else "no"


def _header_table(rows: Sequence[Row], ways: Mapping[Way, str]) -> str:
    """A table of headers; `ways` are its columns with their titles."""
    others = ["" if way in NARROW else "passes" if way & OPEN else "no" for way in ways]
    return table(
        ["header", *ways.values(), "why"],
        [
            *([f"`{r.name}`", *(_cell(r, way) for way in ways), r.why] for r in rows),
            ["any other", *others, "nobody has thought of it"],
        ],
    )


def headers_page() -> str:
    """What goes into ``headers.md``."""
    return HEADERS.format(
        hop_by_hop=table(
            ["header", "why"], ([f"`{row.name}`", row.why] for row in HOP_BY_HOP)
        ),
        requests=_header_table(
            REQUESTS,
            {
                Way.CLIENT: "as itself",
                Way.OURS: "as us",
                Way.TO_STORAGE: "storage",
                Way.LIST: "of a list",
                Way.UPLOAD: "of an upload",
                Way.PAGE_SENDS: "pages",
            },
        ),
        replies=_header_table(
            REPLIES,
            {
                Way.REPLY: "client",
                Way.FOLLOWED: "followed",
                Way.FROM_STORAGE: "storage",
                Way.BUSY: "busy",
                Way.NO_RANGE: "no range",
                Way.LIMITS: "limits",
                Way.OUR_BODY: "our body",
                Way.PAGE_SEES: "pages",
            },
        ),
    )


PAGES: dict[str, Callable[[], str]] = {"headers.md": headers_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
