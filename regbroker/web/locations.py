"""Where an upstream's replies lead: its Locations as clients are to see them."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import Logger

from regbroker.errors import RedirectRefused, UpstreamMalformed
from regbroker.protocol.locations import (
    Carry,
    redirect_location,
    upload_location,
)
from regbroker.protocol.names import Endpoint
from regbroker.protocol.own_address import OwnAddress
from regbroker.protocol.own_redirects import check_leads_on
from regbroker.protocol.queries import split_target
from regbroker.upstream.registry import Upstream
from regbroker.web.api_request import ApiRequest
from regbroker.web.carried_uploads import CarriedUploads
from regbroker.web.exchange import Exchange, UpstreamRequest

_log = Logger()


class Locations:
    """Maps the Locations of one upstream; `uploads` carries those outside the API."""

    def __init__(self, upstream: Upstream, uploads: CarriedUploads | None) -> None:
        self._upstream = upstream
        self._uploads = uploads

    def location(self, exchange: Exchange) -> str | None:
        """
        Return the Location that a reply is to have, None for none.

        Raises `UpstreamMalformed` or `RedirectRefused` when a client that followed
        would get past us, or nowhere.
        """
        reply, target = exchange.reply, exchange.request.asked.target
        location = (reply.header(b"Location") or b"").decode("latin-1")
        if not location:
            return None
        own = self._own_address(exchange.request.asked)
        if 300 <= reply.status < 400:
            return self._redirect(exchange, location, own)
        if reply.status >= 400 and not target.operation.is_upload:
            # It leads to nothing that is known: pages for people, mostly.
            return None
        try:
            return upload_location(
                location,
                own,
                exchange.request.to_public,
                exchange.sent.target,
                self._carry(exchange.request, own) if reply.status != 201 else None,
            )
        except UpstreamMalformed:
            if reply.status != 201 and reply.status < 400:
                raise
            # What was made is made, and what was refused is refused, whether or not
            # its Location can be passed on.
            _log.warn(
                "[upstream {name}]: a reply with status {status} goes on without its "
                "Location, which is no path of the distribution API",
                name=self._upstream.name,
                status=reply.status,
            )
            return None

    def _redirect(self, exchange: Exchange, location: str, own: OwnAddress) -> str:
        asked, here = exchange.request.asked, exchange.sent.target
        to_public = exchange.request.to_public
        try:
            check_leads_on(location, own, here)
            mapped = redirect_location(
                location, own, to_public, here, _is_for_reading(asked)
            )
            self._check_query(asked, mapped)
            return mapped
        except RedirectRefused as refused:
            _log.warn(
                "[upstream {name}]: a redirect is not passed on: {why}",
                name=self._upstream.name,
                why=refused.why,
            )
            raise

    def _check_query(self, asked: ApiRequest, mapped: str) -> None:
        """Refuse a redirect to the same target whose query would not go up again."""
        is_without = asked.target.endpoint in (Endpoint.MANIFEST, Endpoint.BLOB)
        if is_without and split_target(mapped)[0] == asked.target.path:
            raise RedirectRefused(
                "it leads to the same manifest or blob with another query, and none "
                "of theirs goes up; "
                + (
                    "write 'redirects = follow'"
                    if _is_for_reading(asked)
                    else "pushes and deletes are not followed"
                ),
                "the upstream redirects this request to itself with another query, "
                "which does not go up from here",
            )

    def _carry(self, request: UpstreamRequest, own: OwnAddress) -> Carry | None:
        uploads, route = self._uploads, request.target.route
        if (
            uploads is None
            or route is None
            or not request.asked.target.operation.is_upload
        ):
            return None
        name = request.names[route.upstream_name]
        return lambda target: uploads.path(target, route, own.origin, name)

    def _own_address(self, asked: ApiRequest) -> OwnAddress:
        return replace(
            self._upstream.own_address(asked.client.forwarded.host),
            source=asked.client.forwarded.source,
            show_address=self._upstream.config.show_address,
        )


def _is_for_reading(asked: ApiRequest) -> bool:
    """Tell whether ``redirects = follow`` is about such a request."""
    return (
        asked.client.method in ("GET", "HEAD") and not asked.target.operation.is_upload
    )
