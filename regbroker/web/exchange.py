"""
One attempt at an upstream: what is sent to it, and what it replies.

Each request has these values, and many fields of them are read. Frozen, they would take
twice as long to make, and as named tuples ten times as long to read. So mypy keeps them
from being changed, by `Final`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from regbroker.protocol.headers import Header
from regbroker.protocol.names import WANTED_ACTIONS, Action
from regbroker.protocol.queries import Query
from regbroker.protocol.query_table import FROM, MOUNT
from regbroker.protocol.scopes import Scope, repository_scope
from regbroker.transport.client.reply import Reply
from regbroker.web.api_request import ApiRequest, Mount
from regbroker.web.mapped_target import UpstreamTarget


@dataclass(slots=True)
class UpstreamRequest:
    """
    A client's request as one upstream is to get it.

    `mount` is None for what is no mount, or no longer one.
    """

    asked: Final[ApiRequest]
    target: Final[UpstreamTarget]
    query: Final[Query]
    mount: Final[Mount | None] = None

    @property
    def names(self) -> dict[str, str]:
        """The upstream names of the request, with what the client wrote for them."""
        names = {}
        route = self.target.route
        if route is not None:
            written = self.asked.target.name or route.public_name
            names[route.upstream_name] = written
        if self.asked.mount is not None:
            mount = self.asked.mount
            names[mount.route.upstream_name] = mount.written
        return names

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes that a token needs, with upstream names."""
        if self.mount is None:
            return self.target.scopes
        name, needed = self.mount.route.upstream_name, WANTED_ACTIONS[Action.PULL]
        return (*self.target.scopes, repository_scope(name, *needed))

    def to_public(self, upstream_name: str) -> str | None:
        """Return the public name for an upstream one, in the client's words."""
        mapping = self.asked.target.operation.mapping
        return self.names.get(upstream_name) or mapping.to_public(
            upstream_name, self.target.upstream
        )

    def with_query(self, query: Query) -> UpstreamRequest:
        """Return the same request with another query."""
        return replace(self, query=query)

    def without_mount(self) -> UpstreamRequest:
        """Return the same request as an ordinary upload."""
        return replace(self, query=self.query.without(MOUNT, FROM), mount=None)


@dataclass(slots=True, repr=False)
class Sent:
    """
    What was sent upstream: the target without the upstream's base path.

    `is_ours` says that its Authorization is regbroker's own, not the client's.
    """

    target: Final[str]
    headers: Final[Sequence[Header]]
    is_ours: Final[bool]

    def __repr__(self) -> str:
        # There are secrets in the headers.
        return f"<Sent to {self.target}>"


@dataclass(slots=True)
class Exchange:
    """A request to an upstream, as it was sent, and the reply to it."""

    request: Final[UpstreamRequest]
    sent: Final[Sent]
    reply: Final[Reply]

    def with_reply(self, reply: Reply) -> Exchange:
        """Return the exchange with the reply that a redirect has led to."""
        return self if reply is self.reply else replace(self, reply=reply)


def request_to(upstream: str, asked: ApiRequest) -> UpstreamRequest:
    """Return what the upstream of this name is to get of a client's request."""
    return UpstreamRequest(asked, asked.target.at[upstream], asked.query, asked.mount)
