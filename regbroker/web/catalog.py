"""
``/v2/_catalog``: the upstreams' repositories that are served here.

With several upstreams, their lists follow one another, and each name is listed where it
leads first. Upstreams that have the same names are one list: they are asked one after
the other until one answers, as for any other request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regbroker.accounts.sealing import Sealing
from regbroker.broker.principal import Principal
from regbroker.errors import BadRequest, Denied, EndpointUnknown, HTTPError
from regbroker.naming.mapping import NameMapping, Route
from regbroker.protocol.mirrors import with_ns
from regbroker.protocol.names import CATALOG_PATH
from regbroker.protocol.queries import Query, values
from regbroker.protocol.query_table import PLACE
from regbroker.runtime.keyed_hash import KeyedHash
from regbroker.transport.server.replies import send_json
from regbroker.web.admission import Gate
from regbroker.web.api_request import ApiRequest
from regbroker.web.backend import Backend
from regbroker.web.catalog_pages import (
    CatalogPages,
    Place,
    PublicPage,
    Refused,
    read_state,
    written_state,
)
from regbroker.web.catalog_walks import Walks
from regbroker.web.exchange import Exchange, UpstreamRequest
from regbroker.web.relay import Relay, is_no_answer

#: What a client gets at once, however much it wants.
MAX_PAGE = 1000

#: Upstreams that have the same names, first choice first.
Group = tuple[str, ...]

_log = Logger()


class _Part(NamedTuple):
    """
    What a page wants of one list: `wanted` names, or as many as come at once.

    They are those for which `visible` is true, from `places` on, by upstream.
    """

    group: Group
    places: Mapping[str, Place]
    wanted: int | None
    visible: Callable[[str], bool]


class Catalog:
    """
    The catalog of one registry.

    `mode` is ``filter``, or ``deny`` for none at all. `seal` is for what our links
    carry, of the registry that is called `host`; `clock` is the reactor.
    """

    def __init__(
        self,
        mapping: NameMapping,
        gate: Gate,
        relay: Relay,
        mode: str,
        seal: Sealing,
        host: str,
        clock: IReactorTime,
    ) -> None:
        self._mapping = mapping
        self._gate = gate
        self._relay = relay
        self._mode = mode
        self._seal = seal
        self._purpose = f"catalog of {host}"
        self._walks = Walks(clock)
        self._hash = KeyedHash()

    def check(self) -> None:
        """Raise `EndpointUnknown` where there is no catalog, whoever asks."""
        if self._mode == "deny":
            raise EndpointUnknown("this registry does not list its repositories")

    async def serve(self, asked: ApiRequest) -> None:
        """
        Answer with the page that the client's query wants.

        Raises `BadRequest` for a query that makes no sense, `NameUnknown` for a
        ``last`` that is not served here, and `UpstreamError`.
        """
        visible = await self._visible(asked.principal)
        wanted = _wanted(asked.query)
        groups = list(self._mapping.groups)
        begin, places = self._begin(asked.query, groups)
        names: list[str] = []
        refusals: list[HTTPError] = []
        link = ""
        for index, group in enumerate(groups[begin:], begin):
            left = None if wanted is None else wanted - len(names)
            answer = await self._read(asked, _Part(group, places, left, visible))
            places = {}
            if isinstance(answer, HTTPError):
                if answer.status == 401 and not asked.client.token:
                    # It may show more to somebody who logs in.
                    raise answer
                refusals.append(answer)
                continue
            upstream, page = answer
            names += page.names
            if page.following is not None:
                sealed = ""
                if page.is_opaque or not names:
                    state = written_state(index, upstream, page.following)
                    sealed = self._seal.seal(self._purpose, json.dumps(state))
                link = _link(names, wanted, sealed, asked.client.forwarded.source)
                break
            if len(names) == wanted and group != groups[-1]:
                link = _link(names, wanted, "", asked.client.forwarded.source)
                break
        if len(refusals) == len(groups[begin:]):
            raise refusals[0]
        if link:
            asked.client.http.setHeader(b"Link", link.encode())
        send_json(asked.client.http, {"repositories": names})

    async def _visible(self, principal: Principal | None) -> Callable[[str], bool]:
        if principal is None:
            return lambda name: True
        return await self._gate.visible(principal)

    def _begin(
        self, query: str | Query, groups: list[Group]
    ) -> tuple[int, dict[str, Place]]:
        """Return the list that a page begins in, and where in it, by upstream."""
        last = next(iter(values(query, "last")), "")
        routes: tuple[Route, ...] = ()
        begin, places = 0, {}
        if last:
            routes = self._mapping.routes(last)
            begin = groups.index(self._mapping.group(last))
            places = {r.upstream: Place(after=r.upstream_name) for r in routes}
        sealed = next(iter(values(query, PLACE)), "")
        text = self._seal.open(self._purpose, sealed) if sealed else None
        state = None if text is None else read_state(json.loads(text))
        if state is not None and state[0] < len(groups):
            group, upstream, place = state
            if not last or group == begin:
                return group, {**places, upstream: place}
        return begin, places

    async def _read(
        self, asked: ApiRequest, part: _Part
    ) -> tuple[str, PublicPage] | HTTPError:
        """Return a page of what some upstreams have, or why there is none."""

        def read(
            backend: Backend, request: UpstreamRequest, is_substitute: bool
        ) -> Coroutine[Any, Any, tuple[str, PublicPage] | HTTPError]:
            return self._read_at(part, backend, request, is_substitute)

        try:
            _, page = await self._relay.first(asked, part.group, read)
        except Denied as error:
            return error
        return page

    async def _read_at(
        self,
        part: _Part,
        backend: Backend,
        request: UpstreamRequest,
        is_substitute: bool,
    ) -> tuple[str, PublicPage] | HTTPError:
        """
        Return a page of what one upstream has, with its name, or why there is none.

        Raises what leaves the request to the next upstream.
        """
        upstream = backend.upstream.name
        pages = self._pages(part, backend, request)
        try:
            page = await pages.read(part.wanted, part.places.get(upstream, Place()))
        except Refused as refused:
            exchange, body = refused.exchange, refused.body
        else:
            return upstream, page
        error = await backend.responder.refusal(exchange, body)
        status = exchange.reply.status
        if is_no_answer(status, is_substitute):
            raise error
        is_alone = len(self._mapping.groups) == 1
        # A client whose token is for something else is told to get another one, and
        # the line of its request says so: podman begins each search in this way.
        if exchange.sent.is_ours or status != 401 or not is_alone:
            _log.warn(
                "[upstream {name}]: gives no catalog, status {status}",
                name=upstream,
                status=status,
            )
        return error

    def _pages(
        self, part: _Part, backend: Backend, request: UpstreamRequest
    ) -> CatalogPages:
        """Return an upstream's pages, with the names of `part` alone."""
        upstream = backend.upstream.name

        def to_public(upstream_name: str) -> str | None:
            name = self._mapping.to_public(upstream_name, upstream)
            if name is None or self._mapping.group(name) != part.group:
                return None
            return name if part.visible(name) else None

        async def ask(query: str) -> Exchange:
            sent = await backend.forwarder.forward(request.with_query(Query(query)))
            exchange = await backend.followed(sent)
            backend.responder.pass_on_limits(exchange)
            return exchange

        return CatalogPages(
            upstream,
            self._walks,
            self._account(request.asked, backend),
            to_public,
            ask,
            backend.responder.gather_list,
            backend.responder.gather_error,
        )

    def _account(self, asked: ApiRequest, backend: Backend) -> bytes:
        """
        Return a keyed hash of the account that the upstream sees.

        It is of the host, too, that the client has named: a refusal may lead there.
        """
        client, shown = asked.client, ["ours"]
        if backend.policy.clients:
            others = (text for header in client.other_credentials for text in header)
            shown = [
                client.authorization or "",
                *(text.decode("latin-1") for text in others),
            ]
        return self._hash.digest(client.forwarded.scheme, client.forwarded.host, *shown)


def _wanted(query: str | Query) -> int | None:
    counts = values(query, "n")
    if not counts:
        return None
    if not re.fullmatch(r"\d{1,9}", counts[0]) or int(counts[0]) == 0:
        raise BadRequest("n is the number of repositories wanted, from 1")
    return min(int(counts[0]), MAX_PAGE)


def _link(names: list[str], wanted: int | None, sealed: str, source: str) -> str:
    parameters = [f"last={quote(names[-1], safe='')}"] if names else []
    parameters += [] if wanted is None else [f"n={wanted}"]
    parameters += [f"{PLACE}={sealed}"] if sealed else []
    url = with_ns(f"{CATALOG_PATH}?{'&'.join(parameters)}", source)
    return f'<{url}>; rel="next"'
