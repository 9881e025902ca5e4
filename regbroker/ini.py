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
from pathlib import PurePath

from regbroker.config import CertificateFiles, Config, RegistryConfig, UpstreamConfig
from regbroker.errors import ConfigurationError
from regbroker.inisections import (
    FileCheck,
    Section,
    read_main,
    read_registry,
    read_tls,
    read_upstream,
)

_TITLE = re.compile(r"(?P<kind>\S+)(?:\s+(?P<name>.*\S))?\s*")


def parse_config(text: str, directory: PurePath, check_file: FileCheck) -> Config:
    """
    Parse the text of an ini file.

    Relative paths start from `directory`. Raises `ConfigurationError` with
    every problem.
    """
    parser = configparser.RawConfigParser(
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        inline_comment_prefixes=(";",),
        default_section="",
    )
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ConfigurationError([_syntax_problem(error)]) from error
    return _read(parser, directory, check_file)


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
    parser: configparser.RawConfigParser, directory: PurePath, check_file: FileCheck
) -> Config:
    problems: list[str] = []

    def section(title: str) -> Section:
        options = dict(parser.items(title)) if parser.has_section(title) else {}
        return Section(title, options, problems, directory, check_file)

    titles = [(title, *_split_title(title)) for title in parser.sections()]
    upstream_names = {name for _, kind, name in titles if kind == "upstream"}
    certificates: list[CertificateFiles | None] = []
    registries: list[RegistryConfig | None] = []
    upstreams: dict[str, UpstreamConfig] = {}
    main = read_main(section("regbroker"))
    for title, kind, name in titles:
        if kind == "tls":
            certificates.append(read_tls(section(title), name))
        elif kind == "registry" and name:
            registries.append(read_registry(section(title), name, upstream_names))
        elif kind == "upstream" and name:
            upstreams[name] = read_upstream(section(title), name)
        elif title != "regbroker":
            problems.append(
                f"[{title}]: unknown section; there are [regbroker], [tls], "
                "[tls NAME], [registry HOST] and [upstream NAME]"
            )
    problems += _problems_of_the_whole(parser, titles)
    if problems:
        raise ConfigurationError(problems)
    return Config(
        main.listen,
        main.state_directory,
        main.trusted_proxies,
        tuple(filter(None, certificates)),
        tuple(filter(None, registries)),
        upstreams,
    )


def _problems_of_the_whole(
    parser: configparser.RawConfigParser, titles: list[tuple[str, str, str]]
) -> list[str]:
    hosts = [name for _, kind, name in titles if kind == "registry"]
    if not hosts:
        return ["no [registry HOST] section; write one for each name that clients use"]
    problems = [
        f"[registry {host}]: this host stands twice"
        for host in sorted({host for host in hosts if hosts.count(host) > 1})
    ]
    used = {
        parser.get(title, "upstream", fallback="").strip()
        for title, kind, _ in titles
        if kind == "registry"
    }
    problems += [
        f"[upstream {name}]: no [registry HOST] uses it; name it there as "
        "'upstream = …' or take it out"
        for _, kind, name in titles
        if kind == "upstream" and name not in used
    ]
    return problems


def _split_title(title: str) -> tuple[str, str]:
    match = _TITLE.fullmatch(title)
    return (match["kind"], match["name"] or "") if match else (title, "")
