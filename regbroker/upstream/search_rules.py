"""
The rules of search: what the upstream's search service is asked, and what
clients hear of its answer.

``/v1/search`` is older than ``/v2``: ``docker search`` and ``podman search`` speak it,
and Docker Hub still answers it. ``q`` is a piece of text, ``n`` the size of a page
and ``page`` its number; the reply is a JSON object with a list of ``results``.

Facts that shape this module:

- A text without a slash is just a word. One with a slash is the beginning of a
  public name, and is mapped as names are: no public namespace goes upstream.
- Docker Hub finds nothing at ``library/nginx``: what it has there it calls
  ``nginx``. So the default namespace is taken off what goes up, and is put on
  again in what comes back when the client writes it.
- Of a result only what clients read is passed on, by its public name.
  Descriptions are free text, and stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from regbroker.causes import Cause
from regbroker.errors import (
    FAILING_STATUSES,
    BadRequest,
    ClientError,
    UpstreamMalformed,
    UpstreamRefused,
    code_for_status,
)
from regbroker.naming.mapping import NameMapping, Route
from regbroker.naming.rules import ANY_TEXT
from regbroker.protocol.bodies import parse_object
from regbroker.protocol.names import is_name
from regbroker.protocol.queries import Query, values
from regbroker.protocol.retry_after import passed_on

#: A hundred results, the most that Docker Hub gives at once, are about 40 KB.
MAX_SEARCH_BYTES = 1024 * 1024
MAX_RESULTS = 100

#: What docker and podman want when nobody says how many.
_PAGE_SIZE = 25

_PAGING = ("num_pages", "num_results", "page", "page_size")

#: What clients read of a result, beside its name.
_FIELDS = (
    "description",
    "star_count",
    "pull_count",
    "is_official",
    "is_automated",
    "is_trusted",
)

Visible = Callable[[str], bool]
"""Says which canonical public names a client may see."""


@dataclass(frozen=True)
class SearchQuery:
    """
    What a client has asked for.

    `text` is what it wrote, `upstream_text` what the search service is to look
    for; None when nothing that is served from there can be meant. With
    `in_namespace` the client has written the default namespace. `n` and `page`
    are digits, or empty when they were not given.
    """

    text: str
    upstream_text: str | None
    in_namespace: bool
    n: str
    page: str

    @property
    def upstream_query(self) -> str:
        """The query to send."""
        given = [("q", self.upstream_text or ""), ("n", self.n), ("page", self.page)]
        kept = [(name, value) for name, value in given if value or name == "q"]
        return urlencode(kept, quote_via=quote)


class SearchRules:
    """
    The search of one registry, in one of its upstreams.

    `upstream` is the name of the upstream's section.
    """

    def __init__(self, mapping: NameMapping, upstream: str) -> None:
        self._mapping = mapping
        self._upstream = upstream
        namespace = mapping.default_namespace(upstream)
        self._namespace = f"{namespace}/" if namespace else ""

    def asked(self, query: str | Query) -> SearchQuery:
        """Parse a client's query; raises `BadRequest`."""
        text = next(iter(values(query, "q")), "")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise BadRequest("q is a text in UTF-8") from None
        n, page = _number(query, "n"), _number(query, "page")
        if "/" not in text:
            return SearchQuery(text, text, False, n, page)
        # ``team/`` is no name, ``team/w8qz`` is one.
        name = text if is_name(text) else text + ANY_TEXT
        route = self._route(name)
        if route is None:
            return SearchQuery(text, None, False, n, page)
        upstream_text = route.upstream_name
        if name != text:
            upstream_text = upstream_text.removesuffix(ANY_TEXT)
        in_namespace = self._holds(route) and not self._is_short(name, route)
        if self._holds(route):
            upstream_text = upstream_text.removeprefix(self._namespace)
            if not upstream_text and in_namespace:
                # All of it: there is no better word for that.
                upstream_text = self._namespace.rstrip("/")
        return SearchQuery(text, upstream_text, in_namespace, n, page)

    def results(self, body: bytes, asked: SearchQuery, visible: Visible) -> bytes:
        """
        Return the client's reply for the search service's.

        Raises `UpstreamMalformed`.
        """
        try:
            document = parse_object(body)
        except UpstreamMalformed as error:
            error.cause = Cause.SEARCH_MALFORMED
            raise
        results = document.get("results")
        if results is None:
            results = []
        if not isinstance(results, list):
            raise UpstreamMalformed(
                "the search service's reply has no list of results",
                cause=Cause.SEARCH_MALFORMED,
            )
        wanted = min(int(asked.n or 0) or MAX_RESULTS, MAX_RESULTS)
        shown = [self._shown(result, asked, visible) for result in results[:wanted]]
        paging = {
            name: document[name]
            for name in _PAGING
            if isinstance(document.get(name), int)
        }
        return _dump(paging, asked, [result for result in shown if result is not None])

    def nothing(self, asked: SearchQuery) -> bytes:
        """Return the reply for a text that nothing here begins with."""
        paging = {
            "num_pages": 0,
            "num_results": 0,
            "page": int(asked.page or 1),
            "page_size": int(asked.n or _PAGE_SIZE),
        }
        return _dump(paging, asked, [])

    def _shown(
        self, result: Any, asked: SearchQuery, visible: Visible
    ) -> dict[str, Any] | None:
        """Return a result as the client sees it, or None if it does not."""
        name = result.get("name") if isinstance(result, dict) else None
        if not isinstance(name, str):
            return None
        public = self._mapping.to_public(name, self._upstream)
        if public is None or not visible(public):
            return None
        if not asked.in_namespace:
            public = self._short(public)
        fields = {
            field: result[field]
            for field in _FIELDS
            if isinstance(result.get(field), str | int)
        }
        return {"name": public, **fields}

    def _short(self, public: str) -> str:
        """Return a canonical name without the default namespace, if it has such."""
        route = self._route(public)
        if route is None or not self._holds(route):
            return public
        short = route.rule.reverse(route.upstream_name.removeprefix(self._namespace))
        again = self._route(short) if short is not None else None
        if short is None or again is None or again.public_name != public:
            return public
        return short

    def _route(self, name: str) -> Route | None:
        """Return how a name leads to the upstream that is searched, if it does."""
        try:
            routes = self._mapping.routes(name)
        except ClientError:
            return None
        return next(
            (route for route in routes if route.upstream == self._upstream), None
        )

    def _holds(self, route: Route) -> bool:
        """Whether a name is in the upstream's default namespace."""
        return bool(self._namespace) and route.upstream_name.startswith(self._namespace)

    def _is_short(self, name: str, route: Route) -> bool:
        """Whether `name` leads to the default namespace without naming it."""
        direct = route.rule.apply(name)
        return direct is not None and "/" not in direct


def ping(body: bytes) -> bytes:
    """
    Return the reply to a ping: ``true``, or an object with what clients read.

    Raises `UpstreamMalformed` for what is no JSON.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UpstreamMalformed(
            "the search service's reply is not JSON", cause=Cause.SEARCH_MALFORMED
        ) from error
    if not isinstance(document, dict):
        document = True
    else:
        standalone = document.get("standalone")
        document = {"standalone": standalone} if isinstance(standalone, bool) else {}
    return json.dumps(document).encode() + b"\n"


def refused(status: int, retry_after: bytes | None) -> UpstreamRefused:
    """Return the error for a search service that has answered with `status`."""
    message = f"the search service answered with status {status}"
    if status in (401, 407):
        # No client has credentials for the search service: none is asked for any.
        status = 403
    elif status >= 500 and status not in FAILING_STATUSES:
        # That is its own mistake, and not regbroker's.
        status = 502
    document = {"errors": [{"code": code_for_status(status), "message": message}]}
    body = json.dumps(document).encode() + b"\n"
    return UpstreamRefused(status, body, passed_on(retry_after))


def _number(query: str | Query, name: str) -> str:
    given = next(iter(values(query, name)), "")
    if not re.fullmatch(r"[0-9]{0,9}", given):
        raise BadRequest(f"{name} is a number")
    return given


def _dump(
    paging: dict[str, int], asked: SearchQuery, results: list[dict[str, Any]]
) -> bytes:
    document = {**paging, "query": asked.text, "results": results}
    return json.dumps(document).encode() + b"\n"
