"""URLs of HTTP, as two values: the server, and what to ask it for."""

from __future__ import annotations

import re
from typing import NamedTuple

from regbroker.protocol.origins import Origin, parse_origin

#: Printable ASCII without a fragment: what a request line can hold.
_URL = re.compile(r"((?i:https?))://([^/?#]+)([/?][!\"$-~]*)?")


class Url(NamedTuple):
    """A server, and the target of a request to it: path and query, maybe secret."""

    origin: Origin
    target: str

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


def parse_url(text: str) -> Url | None:
    """Parse an absolute URL without a fragment; None for what is no URL of HTTP."""
    match = _URL.fullmatch(text)
    origin = match and parse_origin(match[1], match[2])
    if match is None or origin is None:
        return None
    target = match[3] or "/"
    return Url(origin, target if target.startswith("/") else "/" + target)
