"""What is said in vain about identities, and what opens more than may be meant."""

from __future__ import annotations

from collections.abc import Iterator

from regbroker.accounts.access import Kind, Subject
from regbroker.accounts.claims import Condition, texts_of
from regbroker.settings.config import Config, IdentityConfig, RegistryConfig
from regbroker.settings.identity_clashes import shared_groups
from regbroker.settings.public_issuers import audiences_of_others, open_to_everybody


def identity_warnings(config: Config) -> Iterator[str]:
    """Yield the warnings, each a line that names section and option."""
    for name, identity in config.identities.items():
        for each in audiences_of_others(identity.issuer, identity.audience):
            yield (
                f"[identity {name}] audience: '{each}' is what other services take, "
                "too; have jobs ask for tokens with a name of this registry's own"
            )
        if all(name not in entry.identities for entry in config.registries):
            yield (
                f"[identity {name}]: no [registry HOST] uses it; name it there in "
                "accounts, or take it out"
            )
    yield from shared_groups(config)
    for name, rules in config.access.items():
        users = [entry for entry in config.registries if entry.access is rules]
        for subject in dict.fromkeys(grant.subject for grant in rules.grants):
            if subject.kind is not Kind.IDENTITY or not users:
                continue
            for text in _subject(subject, users, config.identities[subject.name]):
                yield f"[access {name}] {subject}: {text}"


def _subject(
    subject: Subject, users: list[RegistryConfig], identity: IdentityConfig
) -> Iterator[str]:
    if all(subject.name not in entry.identities for entry in users):
        yield (
            f"no [registry HOST] with these rights has {subject.name} in accounts; "
            f"write it there, as in 'accounts = {subject.name}'"
        )
        return
    for condition in subject.conditions:
        reason = _never_holds(condition, identity)
        if reason:
            yield f"'{condition}' never holds: {reason}"
    is_open = open_to_everybody(
        identity.issuer, (*identity.required_claims, *subject.conditions)
    )
    if is_open:
        yield f"{is_open}, or required-claims in [identity {identity.name}]"


def _never_holds(condition: Condition, identity: IdentityConfig) -> str:
    """Say why a condition is never true; '' if it may be."""
    title = f"[identity {identity.name}]"
    if not condition.alternatives:
        if condition.claim in identity.conditions:
            return ""
        return f"{title} has no such condition; write claim=text, or define it there"
    if condition.claim == "iss" and not condition.takes(identity.issuer):
        return f"iss is {identity.issuer}"
    for required in identity.required_claims:
        # A list may have both values; these claims are none.
        is_one_text = required.claim in ("sub", *identity.user.claims)
        plain = [each for each in required.alternatives if "*" not in each]
        if (
            required.claim == condition.claim
            and is_one_text
            and len(plain) == len(required.alternatives)
            and not any(condition.takes(text) for text in texts_of(plain))
        ):
            return f"{title} requires {required}"
    return ""
