"""
What a method is to do with a path of the API, by the names of one registry.

All of this follows from method and path, and clients come with the same ones again and
again. So it is decided once, and the requests that follow find it ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regbroker.naming.mapping import NameMapping, Route
from regbroker.protocol.names import WANTED_ACTIONS, Action, Endpoint, Target
from regbroker.protocol.scopes import CATALOG_SCOPE, Scope, repository_scope


@dataclass(frozen=True)
class UpstreamTarget:
    """
    A target as one upstream has it: `path` with its name, without its base path.

    `route` leads there, None where the target has no name. `scopes` are those that a
    token needs there.
    """

    upstream: str
    route: Route | None
    path: str
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, kw_only=True)
class MappedTarget(Target):
    """
    What a method is to do with a path, and where.

    `routes` says where the name leads, first choice first; it is empty where the target
    has no name. `upstreams` are those that may be asked, in order: what writes goes to
    the first alone. `scopes` are those that a token needs, with the name that the
    client wrote. `at` has the target as each upstream has it.

    `is_ping` says that it is the one by which clients learn how to log in,
    `is_rewritten` that replies have a list that is read here and written anew,
    `is_upload` that it is about one: what those take is in path and query alone.
    `leads_to_blobs` says that a client which gets a reply asks for blobs next.
    """

    action: Action
    routes: tuple[Route, ...]
    upstreams: tuple[str, ...]
    scopes: tuple[Scope, ...]
    at: Mapping[str, UpstreamTarget] = field(compare=False)
    mapping: NameMapping = field(repr=False)
    is_ping: bool
    is_rewritten: bool
    is_upload: bool
    leads_to_blobs: bool

    @property
    def is_about_everything(self) -> bool:
        """Whether it is for an extension that is about no one repository."""
        return self.endpoint is Endpoint.EXTENSION and self.name is None


def mapped_target(target: Target, method: str, mapping: NameMapping) -> MappedTarget:
    """Return a target with where it leads; raises `NameUnknown`."""
    action = target.action_of(method)
    routes = () if target.name is None else mapping.routes(target.name)
    upstreams = tuple(route.upstream for route in routes) or mapping.upstreams
    scopes: tuple[Scope, ...] = ()
    if target.name is not None:
        scopes = (repository_scope(target.name, *WANTED_ACTIONS[action]),)
    elif target.endpoint in (Endpoint.CATALOG, Endpoint.EXTENSION):
        scopes = (CATALOG_SCOPE,)
    at = {name: UpstreamTarget(name, None, target.path, scopes) for name in upstreams}
    for route in routes:
        at[route.upstream] = UpstreamTarget(
            route.upstream,
            route,
            target.path_for(route.upstream_name),
            (repository_scope(route.upstream_name, *_needed_upstream(action, method)),),
        )
    return MappedTarget(
        target.endpoint,
        target.path,
        target.name,
        target.rest,
        target.reference,
        action=action,
        routes=routes,
        upstreams=upstreams if action is Action.PULL else upstreams[:1],
        scopes=scopes,
        at=at,
        mapping=mapping,
        is_ping=target.endpoint is Endpoint.BASE,
        is_rewritten=target.endpoint in (Endpoint.TAGS, Endpoint.CATALOG),
        is_upload=target.endpoint in (Endpoint.UPLOADS, Endpoint.UPLOAD),
        leads_to_blobs=target.endpoint is Endpoint.MANIFEST and method == "GET",
    )


def _needed_upstream(action: Action, method: str) -> tuple[str, ...]:
    """Return the actions that a registry wants a token for."""
    needed = WANTED_ACTIONS[action]
    if action is Action.PUSH and method == "DELETE":
        # distribution wants this for every DELETE, an upload's too.
        return (*needed, "delete")
    return needed
