"""Rights that are not what the file of tests says they are meant to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from regbroker.accounts.access import CATALOG, AccessRules
from regbroker.accounts.decisions import Decision, decide
from regbroker.accounts.identity.written_claims import Outcome
from regbroker.accounts.principals import Account
from regbroker.accounts.rights_tests import Expectation, WrongLine, parse_tests
from regbroker.assembly.named_conditions import written_conditions
from regbroker.assembly.vouched import (
    access_of,
    identity_here,
    vouched,
    why_only_claims,
)
from regbroker.errors import ClientError
from regbroker.runtime.unreadable import why_unreadable
from regbroker.runtime.watched_file import read_file
from regbroker.settings.config import Config, IdentityConfig, RegistryConfig

#: Some ten thousand expectations.
MAX_TESTS_BYTES = 1024 * 1024

_EXAMPLE = "the claims instead, as NAME{repository=acme/app}"


def unmet_expectations(config: Config) -> Iterator[str]:
    """Yield a line for each expectation that the rules do not meet, with its place."""
    for entry in config.registries:
        # Of tests where the upstream decides there is a warning.
        if entry.tests is None or entry.accounts is None:
            continue
        title = f"[registry {entry.host}] tests: {entry.tests}"
        try:
            # A byte order mark, which editors of Windows write, is in nobody's name.
            text = read_file(Path(entry.tests), MAX_TESTS_BYTES)[0].decode("utf-8-sig")
        except OSError as error:
            yield f"{title}: {why_unreadable(error)}"
            continue
        except UnicodeDecodeError:
            yield f"{title}: not UTF-8 text; save it as UTF-8"
            continue
        except ValueError as error:
            yield f"{title}: {error}"
            continue
        section, rules = access_of(config, entry)
        for each in parse_tests(text):
            if isinstance(each, WrongLine):
                yield f"{title}:{each.line}: {each.problem}"
                continue
            problem = _problem(each, config, entry, section, rules)
            if problem:
                yield f"{title}:{each.line}: {problem}"


def _problem(
    expected: Expectation,
    config: Config,
    entry: RegistryConfig,
    section: str,
    rules: AccessRules,
) -> str:
    """Say what is not as it is expected; '' when it is."""
    try:
        name = entry.mapping.route(expected.name).public_name
    except ClientError as error:
        return f"'{expected.name}': {error.message}"
    account, refusal = expected.account, ""
    unknown: Mapping[str, str] = {}
    if account is not None and account.identity:
        identity = identity_here(config, entry, account.identity)
        if identity is None:
            known = ", ".join(entry.identities) or "none"
            return (
                f"[identity {account.identity}] is none of this registry's; there are: "
                f"{known}"
            )
        outcomes = written_conditions(identity, account.claims)
        problem = _in_vain(account, identity, outcomes)
        if problem:
            return problem
        unknown = {
            condition: why
            for condition, why in outcomes.items()
            if isinstance(why, str) and condition not in account.conditions
        }
        holding = {condition for condition, holds in outcomes.items() if holds is True}
        account, refusal = vouched(
            identity,
            account.claims,
            account.conditions | holding,
            account.groups,
            whole=False,
        )
    elif account is not None:
        problem = why_only_claims(config, entry, account.user)
        if problem:
            return f"{problem}; write {_EXAMPLE}"
    decision = decide(rules, section, account, expected.action, name)
    if not refusal and decision.allowed:
        refusal = _refused_to_all(entry, expected.action)
    if refusal:
        decision = Decision(expected.action, False, refusal)
    elif not decision.allowed and not _refused_to_all(entry, expected.action):
        problem = _untold(rules, account, unknown, expected.action, name)
        if problem:
            return problem
    if decision.allowed == expected.allowed:
        return ""
    verb = "may" if decision.allowed else "may not"
    meant = "allowed" if expected.allowed else "denied"
    return (
        f"{expected.who} {verb} {expected.action} {name}, and {meant} is expected: "
        f"{decision.why}"
    )


def _in_vain(
    account: Account, identity: IdentityConfig, outcomes: Mapping[str, Outcome]
) -> str:
    """Say what no token of an identity has; '' when it may have all of it."""
    title = f"[identity {identity.name}]"
    for name in sorted(account.conditions):
        if name not in identity.conditions:
            known = ", ".join(identity.conditions) or "none"
            return f"{title} has no condition '{name}'; there are: {known}"
        if outcomes[name] is False:
            return (
                f"{name} of {title} does not hold for these claims: "
                f"{identity.conditions[name]}"
            )
    for group in sorted(account.groups):
        if not any(template.may_make(group) for template in identity.groups):
            made = ", ".join(map(str, identity.groups)) or "none"
            return f"{title} makes no group '{group}'; its groups are: {made}"
    return ""


def _untold(
    rules: AccessRules,
    account: Account | None,
    unknown: Mapping[str, str],
    action: str,
    name: str,
) -> str:
    """Say which condition decides, and cannot be worked out; '' when none is."""
    if account is None or not unknown:
        return ""
    # What holds can only give more.
    more = replace(account, conditions=account.conditions | unknown.keys())
    grant = rules.grant_for(more, action, name)
    for condition in () if grant is None else grant.subject.conditions:
        if not condition.alternatives and condition.claim in unknown:
            return (
                f"whether {condition.claim} of [identity {account.identity}] holds "
                f"cannot be told from these claims: {unknown[condition.claim]}; write "
                "the claims that it looks at, or its name if it holds"
            )
    return ""


def _refused_to_all(entry: RegistryConfig, action: str) -> str:
    """Say why an action is refused whatever the rules say; '' when it is not."""
    if action == CATALOG:
        return "catalog = deny" if entry.catalog == "deny" else ""
    return "writes = deny" if entry.writes == "deny" and action != "pull" else ""
