"""A request under ``/v2``, parsed and mapped: what the client asks for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from regbroker.broker.mounts import MountAttempt, MountChallenges
from regbroker.broker.principal import Principal
from regbroker.errors import BadRequest
from regbroker.events import Event
from regbroker.naming.mapping import NameMapping, Route
from regbroker.protocol.basic_credentials import parse_basic
from regbroker.protocol.names import WANTED_ACTIONS, Action, Endpoint, Target
from regbroker.protocol.queries import Query
from regbroker.protocol.query_table import FROM, MOUNT
from regbroker.protocol.scopes import CATALOG_SCOPE, Scope, repository_scope
from regbroker.web.client_request import ClientRequest


@dataclass(frozen=True)
class Mount:
    """
    The repository that a blob is to be mounted from.

    `written` is its name as the client wrote it. `attempt` says whether the client is
    to be challenged for a wider token; the gate sets it.
    """

    route: Route
    written: str
    attempt: MountAttempt | None = None


@dataclass(frozen=True)
class ApiRequest:
    """
    One request under ``/v2``.

    `query` holds what goes upstream, with upstream names. `routes` says where the name
    leads, first choice first; it is empty where the target has no name. The gate adds
    `principal`, None where the upstream decides, and `token_user`: whose the client's
    token is, empty for nobody's, None where that is not known. `event` is the record of
    the request, and only written.
    """

    client: ClientRequest
    event: Event = field(repr=False, compare=False)
    target: Target
    query: Query
    mapping: NameMapping = field(repr=False)
    routes: tuple[Route, ...] = ()
    mount: Mount | None = None
    principal: Principal | None = None
    token_user: str | None = None

    @property
    def action(self) -> Action:
        """What the request does to its repository."""
        return self.target.action(self.client.method)

    @property
    def first_route(self) -> Route | None:
        """Where the name leads first; None without a name."""
        return self.routes[0] if self.routes else None

    @property
    def upstreams(self) -> tuple[str, ...]:
        """Those that may be asked, in order: what writes goes to the first alone."""
        upstreams = tuple(route.upstream for route in self.routes)
        upstreams = upstreams or self.mapping.upstreams
        return upstreams if self.action is Action.PULL else upstreams[:1]

    @property
    def is_about_everything(self) -> bool:
        """Whether it is for an extension that is about no one repository."""
        return self.target.endpoint is Endpoint.EXTENSION and self.target.name is None

    @property
    def precedes_push(self) -> bool:
        """
        Whether the client asks in order not to upload what is there already.

        That must be there where the push goes, even while its circuit is open.
        """
        return self.client.method == "HEAD" and self.target.endpoint is Endpoint.BLOB

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes that a token needs, with the names that the client wrote."""
        if self.target.endpoint is Endpoint.CATALOG or self.is_about_everything:
            return (CATALOG_SCOPE,)
        scopes = []
        if self.target.name is not None:
            needed = WANTED_ACTIONS[self.action]
            scopes.append(repository_scope(self.target.name, *needed))
        if self.mount is not None:
            needed = WANTED_ACTIONS[Action.PULL]
            scopes.append(repository_scope(self.mount.written, *needed))
        return tuple(scopes)

    @property
    def bearer_token(self) -> str:
        """The client's token; empty when it brought none."""
        if self.client.authorization is None:
            return ""
        scheme, _, token = self.client.authorization.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @property
    def basic(self) -> tuple[str, str]:
        """User and password of the client's Basic credentials; empty without them."""
        if self.client.authorization is None:
            return "", ""
        try:
            return parse_basic(self.client.authorization) or ("", "")
        except BadRequest:
            return "", ""

    def mounting(self, route: Route, written: str) -> ApiRequest:
        """Return the request as a mount from `route`, which the client wrote so."""
        query = self.query.replaced(FROM, lambda _: route.upstream_name)
        return replace(self, query=query, mount=Mount(route, written))

    def without_mount(self) -> ApiRequest:
        """Return the request as an ordinary upload."""
        return replace(self, query=self.query.without(MOUNT, FROM), mount=None)

    def mounted_by(
        self, challenges: MountChallenges, user: str, can_widen: bool
    ) -> ApiRequest:
        """
        Return the mount as that of `user`, or of somebody at the address.

        `can_widen` is as in `regbroker.broker.mounts.MountChallenges.attempt`.
        """
        route, mount = self.first_route, self.mount
        assert route is not None and mount is not None
        names = route.upstream_name, mount.route.upstream_name
        key = (route.upstream, *names, *self.query.values(MOUNT))
        account = user or self.client.forwarded.address
        attempt = challenges.attempt(account, key, can_widen)
        return replace(self, mount=replace(mount, attempt=attempt))
