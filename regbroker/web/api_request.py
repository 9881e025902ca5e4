"""A request under ``/v2``, parsed and mapped: what the client asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from regbroker.broker.mounts import MountAttempt, MountChallenges
from regbroker.broker.principal import Principal
from regbroker.errors import BadRequest
from regbroker.events import Event
from regbroker.naming.mapping import Route
from regbroker.protocol.basic_credentials import parse_basic
from regbroker.protocol.names import WANTED_ACTIONS, Action, Endpoint
from regbroker.protocol.queries import Query
from regbroker.protocol.query_table import FROM, MOUNT
from regbroker.protocol.scopes import Scope, repository_scope
from regbroker.web.client_request import ClientRequest
from regbroker.web.mapped_target import MappedTarget


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


@dataclass(slots=True)
class ApiRequest:
    """
    One request under ``/v2``; a value, as those of `regbroker.web.exchange`.

    `query` holds what goes upstream, with upstream names. The gate adds `principal`,
    None where the upstream decides, and `token_user`: whose the client's token is,
    empty for nobody's, None where that is not known. `event` is the record of the
    request, and only written.
    """

    client: Final[ClientRequest]
    event: Final[Event]
    target: Final[MappedTarget]
    query: Final[Query]
    mount: Final[Mount | None] = None
    principal: Final[Principal | None] = None
    token_user: Final[str | None] = None

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
        if self.mount is None:
            return self.target.operation.scopes
        needed = WANTED_ACTIONS[Action.PULL]
        return (
            *self.target.operation.scopes,
            repository_scope(self.mount.written, *needed),
        )

    @property
    def basic(self) -> tuple[str, str]:
        """User and password of the client's Basic credentials; empty without them."""
        if self.client.authorization is None:
            return "", ""
        try:
            return parse_basic(self.client.authorization) or ("", "")
        except BadRequest:
            return "", ""

    def with_token_of(self, user: str) -> ApiRequest:
        """Return the request with whose token it brings; empty for nobody's."""
        return ApiRequest(
            *(self.client, self.event, self.target, self.query),
            *(self.mount, self.principal, user),
        )

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
        route, mount = self.target.operation.routes[0], self.mount
        assert mount is not None
        names = route.upstream_name, mount.route.upstream_name
        key = (route.upstream, *names, *self.query.values(MOUNT))
        account = user or self.client.forwarded.address
        attempt = challenges.attempt(account, key, can_widen)
        return replace(self, mount=replace(mount, attempt=attempt))
