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
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TypeVar

from regbroker import inivalues
from regbroker.config import (
    DEFAULT_CONNECT_TIMEOUT,
    DEFAULT_TIMEOUT,
    CertificateFiles,
    Config,
    Listener,
    RegistryConfig,
    UpstreamConfig,
)
from regbroker.errors import ConfigurationError
from regbroker.headers import Network

T = TypeVar("T")

#: Says what is wrong with a file that must be readable; None when it is fine.
FileCheck = Callable[[PurePath], str | None]

_DEFAULT_LISTEN = "tls:8443:interface=127.0.0.1"
_SECTION = re.compile(r"(?P<kind>\S+)(?:\s+(?P<name>.*\S))?\s*")


class _Section:
    """Reads one section's options, and notes what is wrong or left over."""

    def __init__(
        self, title: str, options: Mapping[str, str], problems: list[str]
    ) -> None:
        self.title = title
        self.problems = problems
        self._options = dict(options)
        self._known: list[str] = []

    def problem(self, option: str, text: str) -> None:
        self.problems.append(f"[{self.title}] {option}: {text}")

    def get(self, option: str, parse: Callable[[str], T], default: T) -> T:
        self._known.append(option)
        text = self._options.pop(option, None)
        if text is None:
            return default
        try:
            return parse(text.strip())
        except inivalues.InvalidValue as error:
            self.problem(option, str(error))
            return default

    def require(self, option: str, parse: Callable[[str], T], hint: str) -> T | None:
        if option not in self._options:
            self._known.append(option)
            self.problem(option, f"missing; {hint}")
            return None
        return self.get(option, lambda text: parse(text), None)

    def close(self) -> None:
        for option in self._options:
            known = ", ".join(self._known)
            self.problem(option, f"unknown option; known here: {known}")


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
    return _Reader(parser, directory, check_file).read()


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


class _Reader:
    def __init__(
        self,
        parser: configparser.RawConfigParser,
        directory: PurePath,
        check_file: FileCheck,
    ) -> None:
        self.parser = parser
        self.directory = directory
        self.check_file = check_file
        self.problems: list[str] = []

    def read(self) -> Config:
        certificates: list[CertificateFiles] = []
        registries: list[RegistryConfig] = []
        upstreams: dict[str, UpstreamConfig] = {}
        self.upstream_names = {
            name
            for kind, name in map(_split_title, self.parser.sections())
            if kind == "upstream"
        }
        main = self._main(_Section("regbroker", {}, []))
        for title in self.parser.sections():
            section = _Section(title, dict(self.parser.items(title)), self.problems)
            kind, name = _split_title(title)
            if kind == "regbroker" and not name:
                main = self._main(section)
            elif kind == "tls":
                certificates += self._tls(section, name)
            elif kind == "registry" and name:
                registries += self._registry(section, name)
            elif kind == "upstream" and name:
                upstreams[name] = self._upstream(section, name)
            else:
                self.problems.append(
                    f"[{title}]: unknown section; there are [regbroker], [tls], "
                    "[tls NAME], [registry HOST] and [upstream NAME]"
                )
        self._check_whole(registries, upstreams)
        if self.problems:
            raise ConfigurationError(self.problems)
        listen, state_directory, trusted_proxies = main
        return Config(
            listen,
            state_directory,
            trusted_proxies,
            tuple(certificates),
            tuple(registries),
            upstreams,
        )

    def _check_whole(
        self,
        registries: list[RegistryConfig],
        upstreams: Mapping[str, UpstreamConfig],
    ) -> None:
        titles = [_split_title(title) for title in self.parser.sections()]
        if not any(kind == "registry" for kind, _ in titles):
            self.problems.append(
                "no [registry HOST] section; write one for each name that clients use"
            )
        hosts = [registry.host for registry in registries]
        for host in sorted({host for host in hosts if hosts.count(host) > 1}):
            self.problems.append(f"[registry {host}]: this host stands twice")
        used = {
            (self.parser.get(title, "upstream", fallback="") or "").strip()
            for title in self.parser.sections()
            if _split_title(title)[0] == "registry"
        }
        for name in upstreams:
            if name not in used:
                self.problems.append(
                    f"[upstream {name}]: no [registry HOST] uses it; name it there "
                    "as 'upstream = …' or take it out"
                )

    def _main(
        self, section: _Section
    ) -> tuple[tuple[Listener, ...], PurePath, tuple[Network, ...]]:
        listen = section.get(
            "listen", inivalues.listeners, inivalues.listeners(_DEFAULT_LISTEN)
        )
        state = section.get("state-directory", self._path, self.directory / "var")
        trusted = section.get(
            "trusted-proxies", inivalues.networks, inivalues.networks("")
        )
        section.close()
        return listen, state, trusted

    def _tls(self, section: _Section, host: str) -> list[CertificateFiles]:
        if host and inivalues.HOST.fullmatch(host.removeprefix("*.")) is None:
            self.problems.append(f"[{section.title}]: '{host}' is no host name")
        certificate = section.get("certificate", self._file, None)
        key = section.get("key", self._file, None)
        section.close()
        given = [
            self.parser.has_option(section.title, o) for o in ("certificate", "key")
        ]
        if any(given) and not all(given):
            missing = "key" if given[0] else "certificate"
            section.problem(missing, "missing; certificate and key go together")
        if host and not any(given):
            section.problem("certificate", "missing; a named section needs one")
        if certificate is None or key is None:
            return []
        return [CertificateFiles(host, certificate, key)]

    def _registry(self, section: _Section, host: str) -> list[RegistryConfig]:
        if host != "*" and inivalues.HOST.fullmatch(host) is None:
            self.problems.append(
                f"[{section.title}]: '{host}' is no host name; write the name that "
                "clients use, in lower case and without a port, or *"
            )
        upstream = section.require(
            "upstream", self._upstream_name, "name an [upstream NAME] section"
        )
        rules = section.require(
            "namespaces",
            lambda text: inivalues.mapping(text, upstream or ""),
            "write 'team = acme_team', or '* = *' to leave every name as it is",
        )
        token_path = section.get("token-path", inivalues.token_path, "/auth")
        section.get("accounts", inivalues.one_of("upstream"), "upstream")
        section.get("redirects", inivalues.one_of("pass"), "pass")
        catalog = section.get("catalog", inivalues.one_of("filter", "deny"), "filter")
        section.close()
        if upstream is None or rules is None:
            return []
        return [RegistryConfig(host, upstream, rules, token_path, catalog)]

    def _upstream(self, section: _Section, name: str) -> UpstreamConfig:
        url = section.require(
            "url",
            inivalues.upstream_url,
            "write https://HOST, or sandbox: to try things out",
        )
        origin, base_path = url or (None, "")
        users = section.get("users", inivalues.users, inivalues.users(""))
        ca_file = section.get("ca-file", self._file, None)
        realm = section.get("realm", inivalues.realm, None)
        upstream = UpstreamConfig(
            name,
            origin,
            base_path,
            ca_file,
            section.get("timeout", inivalues.seconds, DEFAULT_TIMEOUT),
            section.get("connect-timeout", inivalues.seconds, DEFAULT_CONNECT_TIMEOUT),
            section.get("token-hosts", inivalues.hosts, ()),
            realm,
            section.get("service", str, None),
            users,
        )
        section.close()
        if url is None:
            return upstream
        if origin is not None and users:
            section.problem("users", "belongs to 'url = sandbox:' only; take it out")
        if ca_file is not None and (origin is None or origin.scheme == "http"):
            section.problem("ca-file", "needs an https url; take it out")
        if upstream.service and not realm:
            section.problem("service", "needs a realm beside it; the two go together")
        return upstream

    def _upstream_name(self, text: str) -> str:
        if text not in self.upstream_names:
            known = ", ".join(sorted(self.upstream_names)) or "none yet"
            raise inivalues.InvalidValue(
                f"there is no [upstream {text}] section; there are: {known}"
            )
        return text

    def _path(self, text: str) -> PurePath:
        if not text:
            raise inivalues.InvalidValue("empty; write a path")
        return self.directory / text

    def _file(self, text: str) -> PurePath | None:
        path = self._path(text)
        problem = self.check_file(path)
        if problem is not None:
            raise inivalues.InvalidValue(problem)
        return path


def _split_title(title: str) -> tuple[str, str]:
    match = _SECTION.fullmatch(title)
    return (match["kind"], match["name"] or "") if match else (title, "")
