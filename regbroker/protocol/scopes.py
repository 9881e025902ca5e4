"""
Token scopes: ``type[(class)]:name:actions``.

Grammar: distribution's ``docs/content/spec/auth/scope.md``. The name may
contain ``host:port/``, so the type ends at the first colon and the actions
begin after the last one. What does not parse is not an error: registries hand
out scopes such as ``aws``, and clients hand them back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from regbroker.errors import BadRequest

#: containerd unions the scopes of everything it mounts from; a hundred is
#: beyond any image, and every scope costs the token service a look-up.
MAX_SCOPES = 128

#: A name of 255 characters, a host before it, and a dozen actions.
MAX_SCOPE_LENGTH = 1024

#: Clients come with the same scopes again and again; longer ones are parsed each time.
MAX_REMEMBERED = 1024
MAX_REMEMBERED_SCOPE = 300

_SCOPE = re.compile(
    r"(?P<type>[a-z0-9]+)(?:\((?P<class>[a-z0-9]+)\))?"
    # Looser than the grammar: Azure's actions have underscores, and a scope left
    # opaque takes its public name to the upstream.
    r":(?P<name>.+):(?P<actions>[^:/\s]*)"
)


class Scope(NamedTuple):
    """
    One scope; `str` gives it back as it is written.

    An opaque scope, one that does not parse, has its text in `text` and
    nothing else.
    """

    text: str
    type: str = ""
    resource_class: str = ""
    name: str = ""
    actions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    @property
    def is_repository(self) -> bool:
        """Whether the scope names a repository, so that its name is mapped."""
        return self.type == "repository"

    @property
    def is_clear(self) -> bool:
        """
        Whether it is known which repository is meant, if any is.

        A token service may read what does not parse more generously than we do.
        """
        return bool(self.type) or "repository" not in self.text.lower()

    def with_name(self, name: str) -> Scope:
        """Return the same scope for another name."""
        return self._rewritten(name, self.actions)

    def with_actions(self, actions: tuple[str, ...]) -> Scope:
        """Return the same scope for other actions."""
        return self._rewritten(self.name, actions)

    def _rewritten(self, name: str, actions: tuple[str, ...]) -> Scope:
        resource_class = f"({self.resource_class})" if self.resource_class else ""
        text = f"{self.type}{resource_class}:{name}:{','.join(actions)}"
        return Scope(text, self.type, self.resource_class, name, actions)


def parse_scope(text: str) -> Scope:
    """Parse one scope; what does not parse comes back opaque."""
    return _parse_scope(text) if len(text) > MAX_REMEMBERED_SCOPE else _remembered(text)


def _parse_scope(text: str) -> Scope:
    match = _SCOPE.fullmatch(text)
    if match is None:
        return Scope(text)
    return Scope(
        text,
        match["type"],
        match["class"] or "",
        match["name"],
        tuple(action for action in match["actions"].split(",") if action),
    )


_remembered = lru_cache(maxsize=MAX_REMEMBERED)(_parse_scope)


def offered_scopes(text: str) -> tuple[Scope, ...]:
    """
    Return those scopes of an upstream's challenge that a client can be sent for.

    A client asks for each scope of its challenge, so the challenge has none that would
    be refused.
    """
    scopes = parse_scopes([text], bounded=False)
    taken = (s for s in scopes if s.is_clear and len(s.text) <= MAX_SCOPE_LENGTH)
    return tuple(taken)[:MAX_SCOPES]


@lru_cache(maxsize=MAX_REMEMBERED)
def repository_scope(name: str, *actions: str) -> Scope:
    """Return the scope for some actions on a repository."""
    return Scope(
        f"repository:{name}:{','.join(actions)}", "repository", "", name, actions
    )


CATALOG_SCOPE = Scope("registry:catalog:*", "registry", "", "catalog", ("*",))


def parse_scopes(values: Iterable[str], bounded: bool = True) -> tuple[Scope, ...]:
    """
    Parse ``scope`` parameters: repeated, and each may hold several.

    Duplicates are dropped, the order is kept. Raises `BadRequest` for more
    than `MAX_SCOPES`, or one of more than `MAX_SCOPE_LENGTH` characters, unless
    it is an upstream that has written them (`bounded` false).
    """
    texts = dict.fromkeys(text for value in values for text in value.split())
    if bounded and len(texts) > MAX_SCOPES:
        raise BadRequest(f"a token request may name at most {MAX_SCOPES} scopes")
    if bounded and any(len(text) > MAX_SCOPE_LENGTH for text in texts):
        raise BadRequest(f"a scope may have at most {MAX_SCOPE_LENGTH} characters")
    return tuple(parse_scope(text) for text in texts)


def format_scopes(scopes: Iterable[Scope]) -> str:
    """Write scopes as one value, separated by spaces."""
    return " ".join(str(scope) for scope in scopes)


def completed_scopes(
    scopes: tuple[Scope, ...], needed: tuple[Scope, ...]
) -> tuple[Scope, ...]:
    """Return scopes with those of `needed` behind them that they do not contain."""
    missing = (
        scope
        for scope in needed
        if not any(
            one.type == scope.type
            and one.name == scope.name
            and ("*" in one.actions or set(scope.actions) <= set(one.actions))
            for one in scopes
        )
    )
    return (*scopes, *missing)


def public_scopes(
    scopes: tuple[Scope, ...], to_public: Callable[[str], str | None]
) -> tuple[Scope, ...]:
    """
    Return scopes with public names.

    Repositories that are not served here are left out: GHCR's challenges name
    one that nobody asked for.
    """
    mapped = []
    for scope in scopes:
        if not scope.is_repository:
            mapped.append(scope)
            continue
        name = to_public(scope.name)
        if name is not None:
            mapped.append(scope.with_name(name))
    return tuple(mapped)
