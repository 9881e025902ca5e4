"""Identities of one registry that could be taken for each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

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
            f"[identity {other.name}] issuer: that of [identity {one.name}], too, and "
            "the issuer says which section a token is for; write one section, with "
            "both in audience"
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
        registries = [entry for entry in config.registries if entry.access is rules]
        for group in sorted(rules.groups):
            givers = {
                each: None
                for entry in registries
                for each in _pair_that_gives(group, entry, config.identities)
            }
            if givers:
                named = " and by ".join(f"[identity {each}]" for each in givers)
                yield (
                    f"[access {name}] @{group}: it is given by {named}, whose issuers "
                    "may mean others by it; begin the groups of each differently"
                )


def _pair_that_gives(
    group: str, registry: RegistryConfig, identities: Mapping[str, IdentityConfig]
) -> list[str]:
    """Return the identities of a registry that may give a group, if these are many."""
    givers = [
        name
        for name in registry.identities
        if any(template.may_make(group) for template in identities[name].groups)
    ]
    return givers if len(givers) > 1 else []
