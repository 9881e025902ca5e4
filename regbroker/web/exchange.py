"""One request on its way through the proxy, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from regbroker.broker.mounts import MountAttempt, ToldMounts
from regbroker.errors import BadRequest
from regbroker.events import Event
from regbroker.naming.mapping import NameMapping, Route
from regbroker.protocol.headers import Header
from regbroker.protocol.names import WANTED_ACTIONS, Action, Endpoint, Target
from regbroker.protocol.queries import Query, parse_query
from regbroker.protocol.query_table import FROM, MOUNT
from regbroker.protocol.scopes import CATALOG_SCOPE, Scope, repository_scope
from regbroker.protocol.token_exchange import parse_basic
from regbroker.web.client_request import ClientRequest


@dataclass(frozen=True)
class Asked:
    """
    What was sent upstream: the target without the upstream's base path.

    `is_ours` says that its Authorization is regbroker's own, not the client's.
    """

    target: str
    headers: tuple[Header, ...] = field(repr=False)
    is_ours: bool


class Exchange:
    """
    One request under ``/v2``.

    `query` is what goes upstream; `routes` says where the name leads, first choice
    first. `upstream` is the one that is asked now, `route` the way there, and
    `names` holds its names that this request is about, each with the public one as
    the client has written it.
    """

    def __init__(
        self,
        request: ClientRequest,
        event: Event,
        target: Target,
        query: str | Query,
        mapping: NameMapping,
    ) -> None:
        self.request = request.http
        self.forwarded = request.forwarded
        self.event = event
        self.method = request.method
        self.target = target
        self.query = parse_query(query)
        self.mapping = mapping
        self.routes: tuple[Route, ...] = ()
        self.upstream = mapping.upstreams[0]
        self.route: Route | None = None
        self.mounted_from: Route | None = None
        #: Set by the gate for a mount.
        self.mount_attempt: MountAttempt | None = None
        self.names: dict[str, str] = {}
        #: The request that is answered now; None before anybody was asked.
        self.asked: Asked | None = None
        #: Whose the client's token is, empty for nobody's; None if that is not known.
        self.token_user: str | None = None
        #: Whether the upstream has answered, and a storage is waited for.
        self.is_redirected = False
        self.authorization = request.authorization

    def leads_to(self, routes: tuple[Route, ...]) -> None:
        """Note where the name leads, and turn to the first choice."""
        self.routes = routes
        self.turn_to(routes[0].upstream)

    def turn_to(self, upstream: str) -> None:
        """Make this a request to another upstream."""
        if upstream != self.upstream:
            self.upstream = upstream
            self.names = {}
        self.is_redirected = False
        self.event.upstream = upstream
        for route in self.routes:
            if route.upstream == upstream:
                self.route = route
                self.event.upstream_name = route.upstream_name
                self.names[route.upstream_name] = self.target.name or route.public_name

    def to_public(self, upstream_name: str) -> str | None:
        """Return the public name for an upstream one, in the client's words."""
        return self.names.get(upstream_name) or self.mapping.to_public(
            upstream_name, self.upstream
        )

    def mounts(self, route: Route, written: str) -> None:
        """Note what is mounted, which the client calls `written`."""
        self.mounted_from = route
        self.names[route.upstream_name] = written

    def mounts_nothing(self) -> None:
        """Make a mount an ordinary upload."""
        self.mounted_from = None
        self.query = self.query.without(MOUNT, FROM)

    def tries_mount(self, told: ToldMounts, user: str, can_widen: bool) -> None:
        """Note who mounts: `user`, or somebody at the client's address."""
        assert self.route is not None and self.mounted_from is not None
        names = self.route.upstream_name, self.mounted_from.upstream_name
        mount = (self.upstream, *names, *self.query.values(MOUNT))
        who = user or self.forwarded.address
        self.mount_attempt = told.attempt(who, mount, can_widen)

    @property
    def action(self) -> Action:
        """What the request does to its repository."""
        return self.target.action(self.method)

    def wanted(self, of_upstream: bool) -> tuple[Scope, ...]:
        """
        Return the scopes that a token for this request needs.

        With `of_upstream` in upstream names, else in public ones as the client wrote
        them.
        """
        if self.target.endpoint is Endpoint.CATALOG or self.is_about_everything:
            return (CATALOG_SCOPE,)
        scopes = []
        needed = WANTED_ACTIONS[self.action]
        if of_upstream and self.action is Action.PUSH and self.method == "DELETE":
            # distribution wants this for every DELETE, an upload's too.
            needed = (*needed, "delete")
        for route, actions in (
            (self.route, needed),
            (self.mounted_from, WANTED_ACTIONS[Action.PULL]),
        ):
            if route is not None:
                name = route.upstream_name
                if not of_upstream:
                    name = self.names[name]
                scopes.append(repository_scope(name, *actions))
        return tuple(scopes)

    @property
    def is_about_everything(self) -> bool:
        """Whether it is for an extension that is about no one repository."""
        return self.target.endpoint is Endpoint.EXTENSION and self.target.name is None

    @property
    def precedes_push(self) -> bool:
        """
        Whether the client asks in order not to upload what is there already.

        That must be there where the push goes, even while it rests.
        """
        return self.method == "HEAD" and self.target.endpoint is Endpoint.BLOB

    @property
    def upstreams(self) -> tuple[str, ...]:
        """Those that may be asked, in order: what writes goes to the first alone."""
        upstreams = tuple(route.upstream for route in self.routes)
        upstreams = upstreams or self.mapping.upstreams
        return upstreams if self.action is Action.PULL else upstreams[:1]

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
