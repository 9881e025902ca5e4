"""
``/v2/_catalog``: the upstreams' repositories that are served here.

With several upstreams, what they have is listed one after the other, each name
where it leads first. Upstreams that have the same names are one list, and asked in
turn as for anything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from twisted.logger import Logger

from regbroker.connections import Reply
from regbroker.errors import BadRequest, Denied, EndpointUnknown, HTTPError
from regbroker.localbroker import Visitor
from regbroker.mapping import Mapping, Route
from regbroker.queries import Query, values
from regbroker.replies import send_json
from regbroker.sources import with_source
from regbroker.web.admission import Gate
from regbroker.web.catalogpages import Refused, read_page
from regbroker.web.choosing import Candidate, Choosing, is_no_answer
from regbroker.web.exchange import Exchange

#: What a client gets at once, however much it wants.
MAX_PAGE = 1000

#: Upstreams that have the same names, first choice first.
Group = tuple[str, ...]

#: Public names, and whether there may be more.
Page = tuple[list[str], bool]

_log = Logger()


class Catalog:
    """
    The catalog of one registry.

    `mode` is ``filter``, or ``deny`` for none at all.
    """

    def __init__(
        self, mapping: Mapping, gate: Gate, choosing: Choosing, mode: str
    ) -> None:
        self._mapping = mapping
        self._gate = gate
        self._choosing = choosing
        self._mode = mode

    def check(self) -> None:
        """Raise `EndpointUnknown` where there is no catalog, whoever asks."""
        if self._mode == "deny":
            raise EndpointUnknown("this registry does not list its repositories")

    async def serve(self, exchange: Exchange, visitor: Visitor | None) -> None:
        """
        Answer with the page that the client's query wants.

        Raises `BadRequest` for a query that makes no sense, `NameUnknown` for a
        ``last`` that is not served here, and `UpstreamError`.
        """
        visible = await self._visible(visitor)
        wanted = _wanted(exchange.query)
        last, groups = self._place(exchange.query)
        names: list[str] = []
        refusals: list[HTTPError] = []
        more = False
        for group in groups:
            left = None if wanted is None else wanted - len(names)
            page = await self._read(exchange, group, last, left, visible)
            last = ()
            if isinstance(page, HTTPError):
                if page.status == 401 and not exchange.bearer_token:
                    # It may show more to who logs in.
                    raise page
                refusals.append(page)
                continue
            found, more = page
            names += found
            if more or len(names) == wanted:
                more = more or group != groups[-1]
                break
        if len(refusals) == len(groups):
            raise refusals[0]
        if more:
            link = _link(names[-1], wanted, exchange.way.source)
            exchange.request.setHeader(b"Link", link.encode())
        send_json(exchange.request, {"repositories": names})

    async def _visible(self, visitor: Visitor | None) -> Callable[[str], bool]:
        if visitor is None:
            return lambda name: True
        return await self._gate.visible(visitor)

    def _place(self, query: str | Query) -> tuple[tuple[Route, ...], list[Group]]:
        """Return where ``last`` leads, and the lists that go on from there."""
        groups = list(self._mapping.groups)
        given = values(query, "last")
        if not given or not given[0]:
            return (), groups
        routes = self._mapping.routes(given[0])
        return routes, groups[groups.index(self._mapping.group(given[0])) :]

    async def _read(
        self,
        exchange: Exchange,
        group: Group,
        last: tuple[Route, ...],
        wanted: int | None,
        visible: Callable[[str], bool],
    ) -> Page | HTTPError:
        """Return a page of what some upstreams have, or why there is none."""

        async def read(candidate: Candidate, is_substitute: bool) -> Page | HTTPError:
            upstream = candidate.upstream.name

            def to_public(upstream_name: str) -> str | None:
                name = self._mapping.to_public(upstream_name, upstream)
                if name is None or self._mapping.group(name) != group:
                    return None
                return name if visible(name) else None

            async def ask(query: str) -> Reply:
                reply = await candidate.send(exchange, query)
                candidate.answering.pass_on_limits(exchange, reply)
                return reply

            starts = [r.upstream_name for r in last if r.upstream == upstream]
            try:
                return await read_page(
                    wanted,
                    starts[0] if starts else None,
                    to_public,
                    ask,
                    candidate.answering.gather_list,
                )
            except Refused as refused:
                reply = refused.reply
            error = await candidate.answering.refusal(exchange, reply)
            if is_no_answer(reply.status, is_substitute):
                raise error
            _log.warn(
                "[upstream {name}]: gives no catalog, status {status}",
                name=upstream,
                status=reply.status,
            )
            return error

        try:
            _, page = await self._choosing.first(exchange, group, read)
        except Denied as error:
            return error
        return page


def _wanted(query: str | Query) -> int | None:
    given = values(query, "n")
    if not given:
        return None
    if not re.fullmatch(r"\d{1,9}", given[0]) or int(given[0]) == 0:
        raise BadRequest("n is the number of repositories wanted, from 1")
    return min(int(given[0]), MAX_PAGE)


def _link(last: str, wanted: int | None, source: str) -> str:
    count = "" if wanted is None else f"&n={wanted}"
    url = with_source(f"/v2/_catalog?last={quote(last, safe='')}{count}", source)
    return f'<{url}>; rel="next"'
