"""
Options of ``[registry HOST]`` that name other sections: text in, value out.

Each function raises `regbroker.settings.values.InvalidValue` with a sentence that says
what would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import InvalidRule, parse_rule
from regbroker.settings.config import CERTIFICATE, RegistryConfig
from regbroker.settings.invalid import InvalidValue, parse_each
from regbroker.settings.suggestions import suggestion
from regbroker.settings.values import lines


def mapping(
    text: str,
    listed: Iterable[str],
    upstreams: Collection[str],
    default_namespaces: Mapping[str, str],
) -> NameMapping:
    """
    Parse ``namespaces``: one rule a line.

    `listed` are the registry's upstreams, `upstreams` all that there are.
    """
    rule_lines = lines(text)
    if not rule_lines:
        raise InvalidValue("empty; write 'team = acme_team', or '* = *' for all names")
    rules, problems = [], []
    for line in rule_lines:
        try:
            rule = parse_rule(line)
        except InvalidRule as error:
            problems.append(_about_line(line, str(error)))
            continue
        if rule.section and rule.section not in upstreams:
            missing = no_section("upstream", rule.section, upstreams)
            problems.append(f"'{rule}': {missing}")
        rules.append(rule)
    if problems:
        raise InvalidValue(*problems)
    try:
        return NameMapping(rules, listed, default_namespaces)
    except InvalidRule as error:
        raise InvalidValue(str(error)) from None


def _about_line(line: str, problem: str) -> str:
    """Begin a problem with the line that it is about, unless it names it itself."""
    written = " = ".join(side.strip() for side in line.split("="))
    quoted = f"'{written}'"
    return problem if quoted in problem else f"{quoted}: {problem}"


def one_of_sections(kind: str, names: Collection[str]) -> Callable[[str], str]:
    """Return a parser that takes the name of a section of one kind."""

    def parse(text: str) -> str:
        if not text:
            raise InvalidValue(f"empty; name an [{kind} NAME] section")
        if text not in names:
            raise InvalidValue(no_section(kind, text, names))
        return text

    return parse


def some_sections(
    kind: str, names: Collection[str]
) -> Callable[[str], tuple[str, ...]]:
    """Return a parser that takes the names of sections of one kind, in order."""
    parse_one = one_of_sections(kind, names)

    def parse(text: str) -> tuple[str, ...]:
        listed = text.replace(",", " ").split()
        if not listed:
            raise InvalidValue(f"empty; name an [{kind} NAME] section")
        repeated = sorted({name for name in listed if listed.count(name) > 1})
        if repeated:
            raise InvalidValue(f"'{repeated[0]}' stands twice; once is right")
        return parse_each(listed, parse_one)

    return parse


class AccountsOf(NamedTuple):
    """
    What a registry's ``accounts`` says.

    `accounts` is ``upstream``, ``certificate``, the name of an ``[accounts NAME]``
    section or empty; with ``upstream``, `trusted` may name some. `named` is the first
    section that is named, if any.
    """

    accounts: str
    trusted: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    named: str = ""


def registry_accounts(
    names: Collection[str],
    identities: Collection[str],
    upstreams: Collection[str],
    served: Collection[str],
) -> Callable[[str], AccountsOf]:
    """
    Return a parser of a registry's ``accounts``.

    It takes the names of an ``[accounts NAME]`` section and of ``[identity NAME]``
    sections, or ``upstream``, or ``upstream: NAME, NAME`` with those upstreams that
    clients have accounts at: of all `upstreams`, those `served` that the registry's
    rules lead to.
    """
    right = (
        "write upstream, upstream: NAME, certificate, or the name of an [accounts "
        "NAME] section"
    )
    if names:
        right += f"; there are: {', '.join(sorted(names))}"
    if identities:
        right += f"; identities: {', '.join(sorted(identities))}"
    parse_upstreams = some_sections("upstream", upstreams)

    def parse(text: str) -> AccountsOf:
        kind, colon, rest = text.partition(":")
        if not text:
            raise InvalidValue(f"empty; {right}")
        if text in ("upstream", CERTIFICATE):
            return AccountsOf(text)
        if colon and kind.strip() == "upstream":
            trusted = parse_upstreams(rest)
            for name in trusted:
                if name not in served:
                    raise InvalidValue(no_rule(name))
            return AccountsOf("upstream", trusted)
        listed = [name.strip() for name in text.split(",")]
        for name in listed:
            if listed.count(name) > 1:
                raise InvalidValue(f"'{name}' stands twice; once is right")
            if name not in names and name not in identities:
                hint = suggestion(name, ["upstream", *names, *identities])
                raise InvalidValue(
                    f"there is no [accounts {name}] section; {hint}{right}"
                )
        accounts = [name for name in listed if name in names]
        if len(accounts) > 1:
            raise InvalidValue(
                f"{accounts[0]} and {accounts[1]} both hold passwords; write all their "
                "sources into one [accounts NAME] section"
            )
        vouching = tuple(name for name in listed if name not in names)
        return AccountsOf("".join(accounts), (), vouching, listed[0])

    return parse


def no_rule(upstream: str) -> str:
    """Say that no rule of a registry leads to one of its upstreams."""
    return f"no rule leads to '{upstream}'; take it out, or name it in a rule"


def no_section(kind: str, name: str, names: Collection[str]) -> str:
    """Say that there is no such section, and which there are."""
    known = ", ".join(sorted(names)) or "none yet"
    hint = suggestion(name, names)
    if "://" in name:
        hint = f"the URL goes into an [{kind} NAME] section, and NAME here; "
    return f"there is no [{kind} {name}] section; {hint}there are: {known}"


def without_client_ca(registries: Iterable[RegistryConfig]) -> Iterator[str]:
    """Yield a problem if clients of some registry show certificates to nobody."""
    for each in registries:
        if each.accounts == CERTIFICATE:
            yield (
                "[regbroker] client-ca: missing; 'accounts = certificate' in [registry "
                f"{each.host}] needs the file of the CA that certifies clients"
            )
            return


def without_revoked_tokens(registries: Iterable[RegistryConfig]) -> Iterator[str]:
    """Yield a problem if robot tokens are taken that nobody could revoke."""
    for each in registries:
        if each.robot_tokens and each.accounts not in (None, CERTIFICATE):
            yield (
                "[regbroker] revoked-tokens: missing; 'robot-tokens = yes' in "
                f"[registry {each.host}] needs the file of ids that are not taken any "
                "more, which may be empty"
            )
            return
