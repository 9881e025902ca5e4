"""
What a token request asks for: its scopes, in the words of the upstreams they lead to.

A request comes in with public names, which the rules map. A scope may be one that
another server has made up.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

from regbroker.broker.mounts import Name
from regbroker.errors import NameInvalid, NameUnknown
from regbroker.naming.mapping import NameMapping, Route
from regbroker.protocol.names import check_name
from regbroker.protocol.scopes import Scope
from regbroker.protocol.token_requests import TokenRequest

#: Where what clients ask for leads is remembered for so many questions. Those of more
#: scopes, or of more characters, are looked up each time: clients ask for one or two,
#: and somebody who asks for many takes no more memory than others.
MAX_WANTED = 1024
MAX_WANTED_SCOPES = 8
MAX_WANTED_SIZE = 512


@dataclass(frozen=True)
class WantedScopes:
    """
    What a token request asks for, in the upstream's words.

    `names` leads from upstream names to the public ones, as the client has
    written them.
    """

    scopes: tuple[Scope, ...]
    names: dict[str, str]

    @cached_property
    def upstream_names(self) -> str:
        """The names in all scopes, in the upstream's words, with commas between."""
        return ",".join([scope.name for scope in self.scopes])

    def pulls(self, upstream: str) -> list[Name]:
        """Return the repositories of an upstream that are asked for to pull from."""
        return [
            (upstream, scope.name)
            for scope in self.scopes
            if scope.is_repository and not {"pull", "*"}.isdisjoint(scope.actions)
        ]


def routed(
    request: TokenRequest, mapping: NameMapping, public_host: str
) -> list[tuple[Scope, tuple[Route, ...]]]:
    """
    Return a request's scopes, those of repositories with where they lead.

    What no rule maps is left out, and what does not parse or is no name: clients
    repeat what some upstream has told them, and it is not to stop a login. A client
    without credentials that asks for nothing else than unknown names is told at once:
    raises `NameUnknown`.
    """
    scopes: list[tuple[Scope, tuple[Route, ...]]] = []
    unknown: NameUnknown | None = None
    for scope in request.scopes:
        if not scope.is_clear:
            continue
        if not scope.is_repository:
            scopes.append((scope, ()))
            continue
        try:
            # A scope may name the host before the repository.
            name = check_name(scope.name.removeprefix(public_host + "/"))
            scopes.append((scope, mapping.routes(name)))
        except NameInvalid:
            continue
        except NameUnknown as error:
            unknown = error
    if unknown is not None and not scopes and request.is_anonymous:
        raise unknown
    return scopes


def wanted_scopes(
    request: TokenRequest, mapping: NameMapping, public_host: str, upstream: str
) -> WantedScopes:
    """
    Return those of a request's scopes that lead to one upstream, in its words.

    Raises as `routed`.
    """
    scopes: list[Scope] = []
    names: dict[str, str] = {}
    for scope, routes in routed(request, mapping, public_host):
        if not scope.is_repository:
            scopes.append(scope)
        for route in routes:
            if route.upstream == upstream:
                scopes.append(scope.with_name(route.upstream_name))
                names[route.upstream_name] = scope.name
    return WantedScopes(tuple(scopes), names)


def question(request: TokenRequest, public_host: str) -> Hashable:
    """Return what decides which scopes are wanted; only a short one is remembered."""
    return request.scopes, public_host, request.is_anonymous


def is_short(request: TokenRequest, public_host: str) -> bool:
    """Tell whether a `question` may be remembered."""
    texts = [scope.text for scope in request.scopes]
    size = sum(map(len, texts)) + len(public_host)
    return len(texts) <= MAX_WANTED_SCOPES and size <= MAX_WANTED_SIZE
