"""
What a method is to do with a path of the API, by the names of one registry.

All of this follows from method and path, and clients come with the same ones again and
again. So it is decided once, and the requests that follow find it ready. Most of it is
the same for all that an endpoint of a repository has: an `Operation`.
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
class Operation:
    """
    What a method is to do at an endpoint of a repository, and where.

    `routes` says where the name leads, first choice first; it is empty where there is
    no name. `upstreams` are those that may be asked, in order: what writes goes to the
    first alone. `scopes` are those that a token needs, with the name that the client
    wrote, and `scopes_at` those at each upstream.

    `is_ping` says that it is the one by which clients learn how to log in,
    `is_rewritten` that replies have a list that is read here and written anew,
    `is_upload` that it is about one: what those take is in path and query alone.
    `leads_to_blobs` says that a client which gets a reply asks for blobs next,
    `is_about_everything` that it is for an extension that is about no one repository.
    """

    action: Action
    routes: tuple[Route, ...]
    upstreams: tuple[str, ...]
    scopes: tuple[Scope, ...]
    scopes_at: Mapping[str, tuple[Scope, ...]] = field(compare=False)
    mapping: NameMapping = field(repr=False)
    is_ping: bool
    is_rewritten: bool
    is_upload: bool
    leads_to_blobs: bool
    is_about_everything: bool


@dataclass(frozen=True)
class MappedTarget(Target):
    """What a method is to do with a path; `at` has it as each upstream has it."""

    operation: Operation = field(kw_only=True)
    at: Mapping[str, UpstreamTarget] = field(kw_only=True, compare=False)


def operation_of(target: Target, method: str, mapping: NameMapping) -> Operation:
    """
    Return what a method is to do, and where; raises `NameUnknown`.

    It follows from endpoint, name and method.
    """
    endpoint, name = target.endpoint, target.name
    action = target.action_of(method)
    routes = () if name is None else mapping.routes(name)
    upstreams = tuple(route.upstream for route in routes) or mapping.upstreams
    scopes: tuple[Scope, ...] = ()
    if name is not None:
        scopes = (repository_scope(name, *WANTED_ACTIONS[action]),)
    elif endpoint in (Endpoint.CATALOG, Endpoint.EXTENSION):
        scopes = (CATALOG_SCOPE,)
    needed = _needed_upstream(action, method)
    return Operation(
        action=action,
        routes=routes,
        upstreams=upstreams if action is Action.PULL else upstreams[:1],
        scopes=scopes,
        scopes_at=dict.fromkeys(upstreams, scopes)
        | {r.upstream: (repository_scope(r.upstream_name, *needed),) for r in routes},
        mapping=mapping,
        is_ping=endpoint is Endpoint.BASE,
        is_rewritten=endpoint in (Endpoint.TAGS, Endpoint.CATALOG),
        is_upload=endpoint in (Endpoint.UPLOADS, Endpoint.UPLOAD),
        leads_to_blobs=endpoint is Endpoint.MANIFEST and method == "GET",
        is_about_everything=endpoint is Endpoint.EXTENSION and name is None,
    )


def mapped_target(target: Target, operation: Operation) -> MappedTarget:
    """Return a target with what is to be done, as each upstream has it."""
    scopes = operation.scopes_at
    at = {
        route.upstream: UpstreamTarget(
            route.upstream,
            route,
            target.path_for(route.upstream_name),
            scopes[route.upstream],
        )
        for route in operation.routes
    } or {
        name: UpstreamTarget(name, None, target.path, scopes[name]) for name in scopes
    }
    return MappedTarget(
        target.endpoint,
        target.path,
        target.name,
        target.rest,
        target.reference,
        operation=operation,
        at=at,
    )


def _needed_upstream(action: Action, method: str) -> tuple[str, ...]:
    """Return the actions that a registry wants a token for."""
    needed = WANTED_ACTIONS[action]
    if action is Action.PUSH and method == "DELETE":
        # distribution wants this for every DELETE, an upload's too.
        return (*needed, "delete")
    return needed
