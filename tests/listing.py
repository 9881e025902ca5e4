"""Upstreams' lists, and the ways in which registries page them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs


@dataclass
class Listing:
    """
    A list that is paged as some registry does it.

    `forwarded` is ``last`` (distribution), ``token`` (Quay's ``next_page``),
    ``own-last`` (ECR's ``last``, which is a token) or ``offset``. `most` is what may be
    asked for at once, as distribution's ``catalog.maxentries``.
    """

    names: Sequence[str]
    forwarded: str = "last"
    size: int = 1000
    most: int = 1_000_000
    sizes: Sequence[int] = ()
    asked: list[str] = field(default_factory=list)

    def page(self, query: str) -> tuple[int, list[str], str | None]:
        """The status, the names, and the query of the next page."""
        self.asked.append(query)
        given = {name: each[0] for name, each in parse_qs(query).items()}
        wanted = int(given.get("n", self.size))
        if wanted > self.most:
            return 400, [], None
        size = min(wanted, self.size)
        if self.forwarded == "last":
            last = given.get("last", "")
            left = [name for name in sorted(set(self.names)) if name > last]
            following = f"last={left[size - 1]}&n={size}" if len(left) > size else None
            return 200, left[:size], following
        if self.forwarded == "own-last" and "last" in given:
            start = self._opened(given["last"])
            if start is None:
                return 400, [], None
        else:
            key = {"token": "next_page", "offset": "offset"}.get(self.forwarded, "")
            start = self._opened(given[key]) if key in given else 0
            assert start is not None
        # The place of a page in the list of pages: some may be empty.
        pages = self._pages(size)
        names = pages[start] if start < len(pages) else []
        if start + 1 >= len(pages):
            return 200, names, None
        return 200, names, self._link(start + 1)

    def _pages(self, size: int) -> list[list[str]]:
        left, pages = list(self.names), []
        for each in (*self.sizes, *[size] * (len(left) + 1)):
            if not left:
                break
            pages.append(left[:each])
            left = left[each:]
        return pages

    def _link(self, start: int) -> str:
        token = base64.b64encode(b"at %d" % start).decode()
        return {
            "token": f"next_page={token}",
            "own-last": f"n={self.size}&last={token}",
            "offset": f"offset={token}",
        }[self.forwarded]

    def _opened(self, token: str) -> int | None:
        try:
            return int(base64.b64decode(token)[3:])
        except ValueError:
            return None
