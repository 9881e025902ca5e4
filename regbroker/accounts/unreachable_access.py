"""Which rules of an ``[access NAME]`` section have no effect, and why."""

from __future__ import annotations

from collections.abc import Sequence

from regbroker.accounts.access import AccessRules, Kind, Subject
from regbroker.accounts.patterns import (
    NamePattern,
    has_only_aliases,
    is_component,
    whole_pattern,
)
from regbroker.naming.mapping import NameMapping


def unreachable(
    rules: AccessRules, *mappings: NameMapping, has_groups: bool = True
) -> list[str]:
    """
    Return which rules have no effect, each a line that begins with the subject.

    `mappings` are those of the registries that the rules are for: a pattern is
    unreachable when it matches no name that any of them maps, as far as the beginnings
    of both show it. `has_groups` says whether some source of accounts has groups.
    Nothing that can match is ever called unreachable.
    """
    lines: list[str] = []
    for grant in rules.grants:
        subject = grant.subject
        if not grant.patterns:
            lines.append(
                f"{subject}: empty, so it grants nothing; write for example team/**: "
                "pull, push"
            )
            continue
        if subject.kind is Kind.GROUP and not has_groups:
            lines.append(f"{subject}: none of these accounts has groups")
            continue
        for pattern in grant.patterns:
            reason = _never_matches(pattern, subject, mappings)
            if reason:
                lines.append(f"{subject}: '{pattern}' {reason}")
    return list(dict.fromkeys(lines))


def _never_matches(
    pattern: NamePattern, subject: Subject, mappings: Sequence[NameMapping]
) -> str:
    """Say why a subject's pattern matches no name that is served; '' if it may."""
    if pattern.is_per_user and subject.kind is Kind.ANONYMOUS:
        return "needs a user, and anonymous has no name"
    user = subject.name if subject.kind is Kind.USER else None
    if pattern.is_per_user and user is not None and not is_component(user):
        return f"can never match: '{user}' cannot be part of a repository name"
    reached = [each for each in mappings if pattern.may_reach(each.by_public, user)]
    if reached:
        return _never_asked_about(pattern, reached)
    known = "; ".join(mapping.namespaces for mapping in mappings)
    return f"matches no name that is served here; namespaces here: {known}"


def _never_asked_about(pattern: NamePattern, mappings: list[NameMapping]) -> str:
    """Say why no name that a pattern matches is canonical; '' if one may be."""
    if all(has_only_aliases(pattern, mapping) for mapping in mappings):
        return "matches upstream names only; write the public names that clients use"
    whole = [whole_pattern(pattern, mapping) for mapping in mappings]
    if None in whole:
        return ""
    meant = " or ".join(dict.fromkeys(filter(None, whole)))
    return f"matches short names only, and rights are about whole ones; write {meant}"
