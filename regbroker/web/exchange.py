"""One attempt at an upstream: what is sent to it, and what it replies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from regbroker.naming.mapping import Route
from regbroker.protocol.headers import Header
from regbroker.protocol.names import WANTED_ACTIONS, Action, Endpoint
from regbroker.protocol.queries import Query
from regbroker.protocol.query_table import FROM, MOUNT
from regbroker.protocol.scopes import CATALOG_SCOPE, Scope, repository_scope
from regbroker.transport.client_reply import Reply
from regbroker.web.api_request import ApiRequest, Mount


@dataclass(frozen=True)
class UpstreamRequest:
    """
    A client's request as one upstream is to get it.

    `route` leads to the upstream, None where the target has no name. `mount` is None
    for what is no mount, or no longer one.
    """

    asked: ApiRequest
    upstream: str
    route: Route | None
    query: Query
    mount: Mount | None = None

    @cached_property
    def names(self) -> dict[str, str]:
        """The upstream names of the request, with what the client wrote for them."""
        names = {}
        if self.route is not None:
            written = self.asked.target.name or self.route.public_name
            names[self.route.upstream_name] = written
        if self.asked.mount is not None:
            mount = self.asked.mount
            names[mount.route.upstream_name] = mount.written
        return names

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes that a token needs, with upstream names."""
        asked = self.asked
        if asked.target.endpoint is Endpoint.CATALOG or asked.is_about_everything:
            return (CATALOG_SCOPE,)
        scopes = []
        if self.route is not None:
            needed = WANTED_ACTIONS[asked.action]
            if asked.action is Action.PUSH and asked.client.method == "DELETE":
                # distribution wants this for every DELETE, an upload's too.
                needed = (*needed, "delete")
            scopes.append(repository_scope(self.route.upstream_name, *needed))
        if self.mount is not None:
            needed = WANTED_ACTIONS[Action.PULL]
            scopes.append(repository_scope(self.mount.route.upstream_name, *needed))
        return tuple(scopes)

    def to_public(self, upstream_name: str) -> str | None:
        """Return the public name for an upstream one, in the client's words."""
        return self.names.get(upstream_name) or self.asked.mapping.to_public(
            upstream_name, self.upstream
        )

    def with_query(self, query: Query) -> UpstreamRequest:
        """Return the same request with another query."""
        return replace(self, query=query)

    def without_mount(self) -> UpstreamRequest:
        """Return the same request as an ordinary upload."""
        return replace(self, query=self.query.without(MOUNT, FROM), mount=None)


@dataclass(frozen=True)
class Sent:
    """
    What was sent upstream: the target without the upstream's base path.

    `is_ours` says that its Authorization is regbroker's own, not the client's.
    """

    target: str
    headers: tuple[Header, ...] = field(repr=False)
    is_ours: bool


@dataclass(frozen=True)
class Exchange:
    """A request to an upstream, as it was sent, and the reply to it."""

    request: UpstreamRequest
    sent: Sent
    reply: Reply

    def with_reply(self, reply: Reply) -> Exchange:
        """Return the exchange with the reply that a redirect has led to."""
        return self if reply is self.reply else replace(self, reply=reply)


def request_to(upstream: str, asked: ApiRequest) -> UpstreamRequest:
    """Return what the upstream of this name is to get of a client's request."""
    route = next((one for one in asked.routes if one.upstream == upstream), None)
    return UpstreamRequest(asked, upstream, route, asked.query, asked.mount)
