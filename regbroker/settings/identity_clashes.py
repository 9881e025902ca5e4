"""Identities of one registry that could be taken for each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from regbroker.accounts.identity.users import Template
from regbroker.naming.pattern_index import PatternIndex
from regbroker.naming.rules import Pattern
from regbroker.settings.config import (
    Config,
    IdentityConfig,
    RegistryConfig,
)


def clashing_identities(
    registries: Iterable[RegistryConfig], identities: Mapping[str, IdentityConfig]
) -> Iterator[str]:
    """Yield a problem for each pair of a registry's identities that clash, once."""
    said = set()
    for registry in registries:
        here = [identities[n] for n in registry.identities if n in identities]
        for one, other in combinations(here, 2):
            problem = _clash(one, other)
            if problem and problem not in said:
                said.add(problem)
                yield problem


def _clash(one: IdentityConfig, other: IdentityConfig) -> str:
    if one.issuer == other.issuer:
        return (
            f"[identity {other.name}] issuer: [identity {one.name}] has the same, and "
            "the issuer says which section a token is for; write one section, with "
            "the audiences of both"
        )
    first, second = one.user.beginning, other.user.beginning
    if first.startswith(second) or second.startswith(first):
        return (
            f"[identity {other.name}] user: {other.user} could make the same user as "
            f"{one.user} of [identity {one.name}]; begin them differently"
        )
    return ""


def shared_groups(config: Config) -> Iterator[str]:
    """Yield a warning for each group with rights that several issuers may give."""
    for name, rules in config.access.items():
        group_makers = [
            _group_makers(entry, config.identities)
            for entry in config.registries
            if entry.access is rules
        ]
        for group in sorted(rules.groups):
            givers = {
                each: None
                for makers in group_makers
                for each in _pair_that_gives(group, makers)
            }
            if givers:
                named = " and by ".join(f"[identity {each}]" for each in givers)
                yield (
                    f"[access {name}] @{group}: it is given by {named}, and each "
                    "issuer may mean other people; begin the groups of each differently"
                )


#: The templates of one registry's groups by what the groups begin with, each with the
#: name of its identity and that one's place among the registry's.
_GroupMakers = PatternIndex[tuple[int, str, Template]]


def _group_makers(
    registry: RegistryConfig, identities: Mapping[str, IdentityConfig]
) -> _GroupMakers:
    return PatternIndex(
        (Pattern(template.beginning, star=True), (place, name, template))
        for place, name in enumerate(registry.identities)
        for template in identities[name].groups
    )


def _pair_that_gives(group: str, makers: _GroupMakers) -> list[str]:
    """Return the identities of a registry that may give a group, if these are many."""
    givers = {
        (place, name)
        for place, name, template in makers.matching(group)
        if template.may_make(group)
    }
    return [name for _, name in sorted(givers)] if len(givers) > 1 else []
