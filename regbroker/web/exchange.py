"""One request on its way through the proxy, and what is known of it."""

from __future__ import annotations

from twisted.web.server import Request

from regbroker.errors import BadRequest
from regbroker.grants import parse_basic
from regbroker.headers import ClientWay
from regbroker.mapping import Mapping, Route
from regbroker.names import Target
from regbroker.observe import Event


class Exchange:
    """
    One request under ``/v2``.

    `query` is what goes upstream; `names` holds the upstream names that this
    request is about, each with the public one as the client has written it.
    """

    def __init__(
        self,
        request: Request,
        way: ClientWay,
        event: Event,
        target: Target,
        query: str,
        mapping: Mapping,
    ) -> None:
        self.request = request
        self.way = way
        self.event = event
        self.method = event.method
        self.target = target
        self.query = query
        self.mapping = mapping
        self.route: Route | None = None
        self.names: dict[str, str] = {}
        given = request.getHeader(b"Authorization")
        self.authorization = given.decode("latin-1") if given is not None else None

    def to_public(self, upstream_name: str) -> str | None:
        """Return the public name for an upstream one, in the client's words."""
        return self.names.get(upstream_name) or self.mapping.to_public(upstream_name)

    @property
    def bearer_token(self) -> str:
        """The client's token; empty when it brought none."""
        scheme, _, token = (self.authorization or "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @property
    def basic_user(self) -> str:
        """The user of the client's Basic credentials; empty without them."""
        try:
            basic = parse_basic(self.authorization or "")
        except BadRequest:
            return ""
        return basic[0] if basic else ""
