"""
The ini file: read into a `Config`, with everything that is wrong said at once.

Nothing here touches the file system: `parse_config` is given the text, the
directory that relative paths start from, and a function that says what is wrong
with a file. A problem is a line
``[section] option: what is wrong, what would be right``.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath

from regbroker.accounts.access import AccessRules, unreachable
from regbroker.errors import ConfigurationError
from regbroker.naming.public_hosts import is_served
from regbroker.protocol.mirrors import path_with_ns
from regbroker.settings.config import AccountsConfig, Config, LdapConfig, RegistryConfig
from regbroker.settings.options import homes
from regbroker.settings.section import FileCheck, Section
from regbroker.settings.sections import (
    Known,
    read_access,
    read_accounts,
    read_main,
    read_registry,
    read_tls,
    read_upstream,
)
from regbroker.settings.uses import useless_options
from regbroker.transport.listeners import CertificateFiles

#: The kinds of sections that need a name, and how that is written.
_NAMED = {
    "registry": "[registry HOST], or [registry *]",
    "upstream": "[upstream NAME]",
    "accounts": "[accounts NAME]",
    "access": "[access NAME]",
}

_TITLE = re.compile(r"(?P<kind>\S+)(?:\s+(?P<name>.*\S))?\s*")


#: Says what else is wrong with a configuration, of which some may be missing.
ConfigCheck = Callable[[Config], Iterable[str]]


def parse_config(
    text: str,
    directory: PurePath,
    check_file: FileCheck,
    check_config: ConfigCheck = lambda config: (),
) -> Config:
    """
    Parse the text of an ini file.

    Relative paths start from `directory`. `check_config` looks at what could be
    read, however little it is. Raises `ConfigurationError` with every problem.
    """
    parser = _new_parser(strict=True)
    problems: list[str] = []
    try:
        parser.read_string(text)
    except (
        configparser.DuplicateOptionError,
        configparser.DuplicateSectionError,
    ) as error:
        # There may be more to say about the rest.
        problems.append(_syntax_problem(error))
        parser = _new_parser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error as more:
            problems.append(_syntax_problem(more))
            raise ConfigurationError(problems) from more
    except configparser.Error as error:
        raise ConfigurationError([_syntax_problem(error)]) from error
    config = _read(parser, directory, check_file, problems)
    problems += check_config(config)
    if problems:
        raise ConfigurationError(problems)
    return config


def _new_parser(strict: bool) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        inline_comment_prefixes=(";",),
        default_section="",
        strict=strict,
    )
    # Users and groups are options, too, and their names are what they are.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    return parser


def _syntax_problem(error: configparser.Error) -> str:
    line = getattr(error, "lineno", None)
    where = f"line {line}: " if line else ""
    if isinstance(error, configparser.DuplicateOptionError):
        return f"[{error.section}] {error.option}: {where}given twice; once is right"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"[{error.section}]: {where}this section stands twice; once is right"
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"{where}an option stands before the first [section]"
    if isinstance(error, configparser.ParsingError):
        lines = ", ".join(str(number) for number, _ in error.errors)
        return f"line {lines}: neither '[section]' nor 'option = value'"
    return str(error)


def _read(
    parser: configparser.RawConfigParser,
    directory: PurePath,
    check_file: FileCheck,
    problems: list[str],
) -> Config:
    """Return what can be read; the rest is added to `problems`."""

    def section(title: str) -> Section:
        options = dict(parser.items(title)) if parser.has_section(title) else {}
        return Section(title, options, problems, directory, check_file, homes())

    titles = [(title, *_split_title(title)) for title in parser.sections()]
    accounts = {
        name: read_accounts(section(title), name)
        for title, kind, name in titles
        if kind == "accounts" and name
    }
    access = {
        name: read_access(section(title))
        for title, kind, name in titles
        if kind == "access" and name
    }
    upstreams = {
        name: read_upstream(section(title), name)
        for title, kind, name in titles
        if kind == "upstream" and name
    }
    default_namespaces = {
        name: upstream.default_namespace for name, upstream in upstreams.items()
    }
    known = Known(tuple(upstreams), default_namespaces, accounts, access)
    certificates: list[CertificateFiles | None] = []
    registries: list[RegistryConfig | None] = []
    main = read_main(section("regbroker"))
    for title, kind, name in titles:
        if kind == "tls":
            certificates.append(read_tls(section(title), name))
        elif kind in _NAMED and not name:
            problems.append(f"[{kind}]: the section needs a name; write {_NAMED[kind]}")
            if kind == "registry":
                registries.append(None)
        elif kind == "registry":
            registries.append(read_registry(section(title), name, known))
        elif title != "regbroker" and kind not in _NAMED:
            problems.append(
                f"[{title}]: unknown section; there are [regbroker], [tls], "
                "[tls NAME], [registry HOST], [upstream NAME], [accounts NAME] and "
                "[access NAME]"
            )
    problems += _problems_of_the_whole(parser, titles)
    problems += _unused_upstreams(titles, registries)
    problems += _unknown_sources(main.sources, titles)
    problems += _hidden_token_paths(main.sources, list(filter(None, registries)))
    problems += _refused_public_urls(list(filter(None, registries)))
    problems += _unreachable_rules(list(filter(None, registries)), accounts, access)
    # What a registry that is wrong would use is known only in part.
    if not any(problem.startswith("[registry") for problem in problems):
        given = {
            name: parser.options(title)
            for title, kind, name in titles
            if kind == "upstream" and name
        }
        problems += useless_options(list(filter(None, registries)), given)
    return Config(
        main.listen,
        main.state_directory,
        main.trusted_proxies,
        tuple(filter(None, certificates)),
        tuple(filter(None, registries)),
        upstreams,
        accounts,
        main.signing_key,
        main.denied_user_agents,
        main.sources,
        main.pace,
        main.max_connections,
        main.max_connections_per_address,
    )


def _problems_of_the_whole(
    parser: configparser.RawConfigParser, titles: list[tuple[str, str, str]]
) -> list[str]:
    hosts = [name for _, kind, name in titles if kind == "registry"]
    if not hosts:
        return ["no [registry HOST] section; write one for each name that clients use"]
    kinds = [(kind, name) for _, kind, name in titles]
    problems = [
        f"[{f'{kind} {name}'.strip()}]: this section stands twice; once is right"
        for kind, name in sorted({each for each in kinds if kinds.count(each) > 1})
    ]
    for kind in ("accounts", "access"):
        problems += _unused(parser, titles, kind)
    return problems


def _unused(
    parser: configparser.RawConfigParser,
    titles: list[tuple[str, str, str]],
    wanted: str,
) -> list[str]:
    """Return a problem for each section of a kind that no registry names."""
    registries = [title for title, kind, _ in titles if kind == "registry"]
    options = (wanted, "accounts") if wanted == "access" else (wanted,)
    used = {
        parser.get(title, option, fallback="").strip()
        for title in registries
        for option in options
    }
    return [
        f"[{wanted} {name}]: no [registry HOST] uses it; name it there as "
        f"'{wanted} = {name}' or take it out"
        for _, kind, name in titles
        if kind == wanted and name and name not in used
    ]


def _unused_upstreams(
    titles: list[tuple[str, str, str]], registries: list[RegistryConfig | None]
) -> list[str]:
    """Return a problem for each upstream that no name leads to."""
    if None in registries:
        # What a registry that is wrong would lead to is known only in part.
        return []
    used = {name for entry in registries if entry for name in entry.upstreams}
    return [
        f"[upstream {name}]: no [registry HOST] uses it; name it there as "
        f"'upstream = {name}' or take it out"
        for _, kind, name in titles
        if kind == "upstream" and name and name not in used
    ]


def _unknown_sources(
    sources: Mapping[str, str], titles: list[tuple[str, str, str]]
) -> list[str]:
    hosts = [name for _, kind, name in titles if kind == "registry"]
    if "" in hosts:
        # The one without a name may be meant.
        return []
    return [
        f"[regbroker] ns: '{source} = {host}': there is no [registry {host}] section; "
        f"there are: {', '.join(hosts)}"
        for source, host in sources.items()
        if host not in hosts
    ]


def _hidden_token_paths(
    sources: Mapping[str, str], registries: list[RegistryConfig]
) -> list[str]:
    """Return a problem for each token service that a source's would hide."""
    of_sources = {
        path_with_ns(entry.token_path, source): source
        for source, host in sources.items()
        for entry in registries
        if entry.host == host
    }
    return [
        f"[registry {entry.host}] token-path: {entry.token_path} is where clients of "
        f"the source {of_sources[entry.token_path]} get their tokens; write another"
        for entry in registries
        if entry.token_path in of_sources
    ]


def _refused_public_urls(registries: list[RegistryConfig]) -> list[str]:
    """Return a problem for each ``public-url`` that ``hosts`` would answer with 421."""
    hosts = {entry.host for entry in registries}
    problems = []
    for entry in registries:
        host = entry.public_url.bare_netloc if entry.public_url else None
        if host and host not in hosts and not is_served(host, entry.hosts):
            problems.append(
                f"[registry {entry.host}] hosts: {host}, the host of public-url, is "
                "missing: clients are sent there for tokens, and would be refused; "
                f"write 'hosts = {', '.join([*entry.hosts, host])}'"
            )
    return problems


def _unreachable_rules(
    registries: list[RegistryConfig],
    accounts: Mapping[str, AccountsConfig],
    access: Mapping[str, AccessRules],
) -> list[str]:
    problems = []
    for name, rules in access.items():
        users = [
            entry
            for entry in registries
            # A registry whose accounts are wrong has been told of already.
            if entry.access is rules and entry.accounts in accounts
        ]
        if not users:
            continue
        has_groups = any(
            isinstance(source, LdapConfig)
            for entry in users
            for source in accounts[entry.accounts or ""].sources
        )
        mappings = [entry.mapping for entry in users]
        for problem in unreachable(rules, *mappings, has_groups=has_groups):
            subject, _, text = problem.partition(": ")
            problems.append(f"[access {name}] {subject}: {text}")
    return problems


def _split_title(title: str) -> tuple[str, str]:
    match = _TITLE.fullmatch(title)
    return (match["kind"], match["name"] or "") if match else (title, "")
