"""
The ini file: text in, a `Config` or every problem out.

Nothing here touches the file system: `parse_config` takes the text, the
directory that relative paths start from, and a function that says what is wrong
with a file. A problem is a line
``[section] option: what is wrong, what would be right``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from regbroker.errors import ConfigurationError
from regbroker.naming.public_hosts import is_served
from regbroker.protocol.mirrors import path_with_ns
from regbroker.settings import references
from regbroker.settings.account_sections import (
    read_access,
    read_accounts,
    read_identity,
)
from regbroker.settings.config import Config, RegistryConfig
from regbroker.settings.identity_clashes import clashing_identities
from regbroker.settings.section import (
    FileCheck,
    FileReport,
    Section,
    WrongOptions,
)
from regbroker.settings.sections import (
    NamedSections,
    read_main,
    read_registry,
    read_tls,
    read_upstream,
)
from regbroker.settings.suggestions import suggestion
from regbroker.settings.syntax import parse_ini

#: The kinds of sections that need a name, and how that is written.
_NAMED = {
    "registry": "[registry HOST], or [registry *]",
    "upstream": "[upstream NAME]",
    "accounts": "[accounts NAME]",
    "access": "[access NAME]",
    "identity": "[identity NAME]",
}

#: Characters of one problem. What has more quotes something that was pasted by mistake:
#: the beginning says what it is about, and the end what would be right.
MAX_CHARACTERS = 1000

_TITLE = re.compile(r"(?P<kind>\S+)(?:\s+(?P<name>.*\S))?\s*")


#: Says what else is wrong with a configuration, of which some may be missing: the
#: options that are wrong.
ConfigCheck = Callable[[Config, WrongOptions], Iterable[str]]


def parse_config(
    text: str,
    directory: PurePath,
    check_file: FileCheck,
    check_config: ConfigCheck = lambda config, wrong: (),
) -> Config:
    """
    Parse the text of an ini file.

    Relative paths start from `directory`. `check_config` looks at what could be
    read, however little it is. Raises `ConfigurationError` with every problem. What
    `regbroker.settings.warnings` says about the result keeps nothing from being served.
    """
    report = FileReport(directory, check_file)
    config = _read(parse_ini(text, report.problems), report)
    report.problems += check_config(config, report.wrong)
    if report.problems:
        raise ConfigurationError([_shortened(each) for each in report.problems])
    return config


def _shortened(problem: str) -> str:
    if len(problem) <= MAX_CHARACTERS:
        return problem
    half = MAX_CHARACTERS // 2
    return f"{problem[:half]} ... {problem[-half:]}"


@dataclass(frozen=True)
class _Title:
    """The title of a section: ``[registry a.example]`` is of the kind ``registry``."""

    text: str
    kind: str
    name: str


def _parse_title(text: str) -> _Title:
    match = _TITLE.fullmatch(text)
    if match is None:
        return _Title(text, text, "")
    return _Title(text, match["kind"], match["name"] or "")


def _read(parser: RawConfigParser, report: FileReport) -> Config:
    """Return what can be read; problems and warnings go to `report`."""
    titles = [_parse_title(text) for text in parser.sections()]

    def section(title: str) -> Section:
        texts = dict(parser.items(title)) if parser.has_section(title) else {}
        return Section(title, texts, report)

    def named(kind: str) -> dict[str, Section]:
        return {t.name: section(t.text) for t in titles if t.kind == kind and t.name}

    main = read_main(section("regbroker"))
    accounts = {name: read_accounts(s, name) for name, s in named("accounts").items()}
    issuers = named("identity")
    identities = {name: read_identity(s, name) for name, s in issuers.items()}
    access = {n: read_access(s, identities) for n, s in named("access").items()}
    upstreams = {name: read_upstream(s, name) for name, s in named("upstream").items()}
    sections = NamedSections(
        upstreams=tuple(upstreams),
        default_namespaces={n: u.default_namespace for n, u in upstreams.items()},
        accounts=accounts,
        access=access,
        identities=identities,
    )
    certificates = [
        read_tls(section(t.text), t.name) for t in titles if t.kind == "tls"
    ]
    hosts = named("registry")
    registries = [
        registry
        for host, registry_section in hosts.items()
        if (registry := read_registry(registry_section, host, sections)) is not None
    ]
    mirrors = main.get("mirrors", {})
    report.problems += _problems_with_titles(titles)
    report.problems += _missing_accounts(hosts, {**named("accounts"), **issuers})
    issuing = {name: each for name, each in identities.items() if each is not None}
    report.problems += clashing_identities(registries, issuing)
    report.problems += _problems_with_mirrors(mirrors, titles)
    if "client-ca" not in section("regbroker"):
        report.problems += references.without_client_ca(registries)
    if "revoked-tokens" not in section("regbroker"):
        report.problems += references.without_revoked_tokens(registries)
    report.problems += _hidden_token_paths(mirrors, registries)
    report.problems += _hidden_by_health(main, mirrors, registries)
    report.problems += _refused_public_urls(registries)
    return Config(
        registries=tuple(registries),
        upstreams=upstreams,
        accounts=accounts,
        access=access,
        identities=issuing,
        certificates=tuple(filter(None, certificates)),
        file_warnings=tuple(report.warnings),
        **main,
    )


def _problems_with_titles(titles: list[_Title]) -> Iterator[str]:
    for title in titles:
        if title.kind in _NAMED and not title.name:
            yield (
                f"[{title.kind}]: the section needs a name; write {_NAMED[title.kind]}"
            )
        elif title.text != "regbroker" and title.kind not in ("tls", *_NAMED):
            hint = suggestion(title.kind, ("regbroker", "tls", *_NAMED))
            yield (
                f"[{title.text}]: unknown section; {hint}there are [regbroker], [tls], "
                "[tls NAME], [registry HOST], [upstream NAME], [accounts NAME], "
                "[identity NAME] and [access NAME]"
            )
    if all(title.kind != "registry" for title in titles):
        yield "no [registry HOST] section; write one for each name that clients use"
        return
    # Two titles may differ in their spaces alone.
    counts = Counter((title.kind, title.name) for title in titles)
    for kind, name in sorted(each for each, count in counts.items() if count > 1):
        yield f"[{f'{kind} {name}'.strip()}]: this section stands twice; once is right"


def _missing_accounts(
    registries: Mapping[str, Section], accounts: Mapping[str, Section]
) -> Iterator[str]:
    """Yield a problem for each registry that may be meant to have unused accounts."""
    sections = registries.values()
    if any(section.is_wrong("accounts") for section in sections):
        return
    # Without the line, an upstream that asks nobody for a password would be open.
    named = {
        name.strip()
        for section in sections
        for name in section.texts.get("accounts", "").split(",")
    }
    unused = [name for name in accounts if name not in named]
    for host, section in registries.items():
        if unused and "accounts" not in section and "access" not in section:
            yield (
                f"[registry {host}] accounts: missing, and no [registry HOST] uses "
                f"[{accounts[unused[0]].title}]; write 'accounts = {unused[0]}', or "
                "'accounts = upstream' for those of the upstream"
            )


def _problems_with_mirrors(
    mirrors: Mapping[str, str], titles: list[_Title]
) -> Iterator[str]:
    hosts = [title.name for title in titles if title.kind == "registry"]
    if "" in hosts:
        # The one without a name may be meant.
        return
    for source, host in mirrors.items():
        if host not in hosts:
            yield (
                f"[regbroker] ns: '{source} = {host}': there is no [registry {host}] "
                f"section; there are: {', '.join(hosts)}"
            )


def _hidden_token_paths(
    mirrors: Mapping[str, str], registries: list[RegistryConfig]
) -> Iterator[str]:
    """Yield a problem for each token service that one of a mirror would hide."""
    of_mirrors = {
        path_with_ns(entry.token_path, source): source
        for source, host in mirrors.items()
        for entry in registries
        if entry.host == host
    }
    for entry in registries:
        if entry.token_path in of_mirrors:
            yield (
                f"[registry {entry.host}] token-path: {entry.token_path} is where "
                f"clients of the source {of_mirrors[entry.token_path]} get their "
                "tokens; write another"
            )


def _hidden_by_health(
    main: Mapping[str, Any],
    mirrors: Mapping[str, str],
    registries: list[RegistryConfig],
) -> Iterator[str]:
    """Yield a problem where health checks are answered instead of token requests."""
    path = main.get("health_path", "")
    endings = {path_with_ns("", source) for source in ("", *mirrors)}
    for entry in registries:
        ending = path.removeprefix(entry.token_path)
        if ending in endings and path == entry.token_path + ending:
            yield (
                f"[regbroker] health-path: {path} is where clients of [registry "
                f"{entry.host}] get their tokens; write another"
            )


def _refused_public_urls(registries: list[RegistryConfig]) -> Iterator[str]:
    """Yield a problem for each ``public-url`` that ``hosts`` would answer with 421."""
    hosts = {entry.host for entry in registries}
    for entry in registries:
        host = entry.public_url.bare_netloc if entry.public_url else None
        if host and host not in hosts and not is_served(host, entry.hosts):
            yield (
                f"[registry {entry.host}] hosts: {host}, the host of public-url, is "
                "missing: clients are sent there for tokens, and would be refused; "
                f"write 'hosts = {', '.join([*entry.hosts, host])}'"
            )
