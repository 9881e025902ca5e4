"""
The configuration: an ini file becomes one frozen `Config`.

Nothing here touches the file system: `parse_config` is given the text, the
directory that relative paths start from, and a function that says what is wrong
with a file. Every problem is collected, each as a line
``[section] option: what is wrong, what would be right``.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import PurePath
from typing import Any, TypeVar

from regbroker.errors import ConfigurationError
from regbroker.headers import Network
from regbroker.mapping import InvalidRule, parse_rule
from regbroker.mapping import Mapping as NameMapping
from regbroker.redirects import Origin, parse_origin

T = TypeVar("T")

#: Says what is wrong with a file that must be readable; None when it is fine.
FileCheck = Callable[[PurePath], str | None]

#: nginx users set 900 s for registries: the last request of a push may make
#: the upstream hash a whole layer before it answers.
DEFAULT_TIMEOUT = 900.0
DEFAULT_CONNECT_TIMEOUT = 10.0

DEFAULT_LISTEN = "tls:8443:interface=127.0.0.1"

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_SECTION = re.compile(r"(?P<kind>\S+)(?:\s+(?P<name>.*\S))?\s*")


@dataclass(frozen=True)
class Listener:
    """One line of ``listen``: `endpoint` is a Twisted server endpoint string."""

    text: str
    endpoint: str
    tls: bool


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate (with its chain) and its key; `host` is empty for the default."""

    host: str
    certificate: PurePath
    key: PurePath


@dataclass(frozen=True)
class UpstreamConfig:
    """
    One ``[upstream NAME]``.

    `origin` is None for the sandbox, which chooses its own port when it
    starts. Times are in seconds. `realm` and `service`, when set, are used
    instead of what the upstream's own challenge says.
    """

    name: str
    origin: Origin | None
    base_path: str = ""
    ca_file: PurePath | None = None
    timeout: float = DEFAULT_TIMEOUT
    connect_timeout: float = DEFAULT_CONNECT_TIMEOUT
    token_hosts: tuple[str, ...] = ()
    realm: str | None = None
    service: str | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class RegistryConfig:
    """One ``[registry HOST]``; `host` is ``*`` for the default one."""

    host: str
    upstream: str
    mapping: NameMapping
    token_path: str = "/auth"
    catalog: str = "filter"


@dataclass(frozen=True)
class Config:
    """Everything that serves is built from one of these."""

    listen: tuple[Listener, ...]
    state_directory: PurePath
    trusted_proxies: tuple[Network, ...]
    certificates: tuple[CertificateFiles, ...]
    registries: tuple[RegistryConfig, ...]
    upstreams: Mapping[str, UpstreamConfig]


class _Invalid(ValueError):
    """An option's value is wrong; the text says what would be right."""


class _Section:
    """Reads one section's options, and notes what is wrong or left over."""

    def __init__(
        self, title: str, options: Mapping[str, str], problems: list[str]
    ) -> None:
        self.title = title
        self.problems = problems
        self._options = dict(options)

    def problem(self, option: str, text: str) -> None:
        self.problems.append(f"[{self.title}] {option}: {text}")

    def get(self, option: str, parse: Callable[[str], T], default: T) -> T:
        text = self._options.pop(option, None)
        if text is None:
            return default
        try:
            return parse(text.strip())
        except _Invalid as error:
            self.problem(option, str(error))
            return default

    def require(self, option: str, parse: Callable[[str], T], hint: str) -> T | None:
        if option not in self._options:
            self.problem(option, f"missing; {hint}")
            return None
        return self.get(option, lambda text: parse(text), None)

    def close(self, known: Iterable[str]) -> None:
        for option in self._options:
            self.problem(option, f"unknown option; known here: {', '.join(known)}")


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
        listen = section.get("listen", _listeners, _listeners(DEFAULT_LISTEN))
        state = section.get("state-directory", self._path, self.directory / "var")
        trusted = section.get("trusted-proxies", _networks, _networks(""))
        section.close(("listen", "state-directory", "trusted-proxies"))
        return listen, state, trusted

    def _tls(self, section: _Section, host: str) -> list[CertificateFiles]:
        if host and _HOST.fullmatch(host.removeprefix("*.")) is None:
            self.problems.append(f"[{section.title}]: '{host}' is no host name")
        certificate = section.get("certificate", self._file, None)
        key = section.get("key", self._file, None)
        section.close(("certificate", "key"))
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
        if host != "*" and _HOST.fullmatch(host) is None:
            self.problems.append(
                f"[{section.title}]: '{host}' is no host name; write the name that "
                "clients use, in lower case and without a port, or *"
            )
        upstream = section.require(
            "upstream", self._upstream_name, "name an [upstream NAME] section"
        )
        rules = section.require(
            "namespaces",
            lambda text: _mapping(text, upstream or ""),
            "write 'team = acme_team', or '* = *' to leave every name as it is",
        )
        token_path = section.get("token-path", _token_path, "/auth")
        section.get("accounts", _one_of("upstream"), "upstream")
        section.get("redirects", _one_of("pass"), "pass")
        catalog = section.get("catalog", _one_of("filter", "deny"), "filter")
        section.close(
            ("upstream", "namespaces", "token-path", "accounts", "redirects", "catalog")
        )
        if upstream is None or rules is None:
            return []
        return [RegistryConfig(host, upstream, rules, token_path, catalog)]

    def _upstream(self, section: _Section, name: str) -> UpstreamConfig:
        url = section.require(
            "url", _upstream_url, "write https://HOST, or sandbox: to try things out"
        )
        origin, base_path = url or (None, "")
        users = section.get("users", _users, _users(""))
        ca_file = section.get("ca-file", self._file, None)
        realm = section.get("realm", _realm, None)
        upstream = UpstreamConfig(
            name,
            origin,
            base_path,
            ca_file,
            section.get("timeout", _seconds, DEFAULT_TIMEOUT),
            section.get("connect-timeout", _seconds, DEFAULT_CONNECT_TIMEOUT),
            section.get("token-hosts", _hosts, ()),
            realm,
            section.get("service", str, None),
            users,
        )
        known = ("url", "users", "ca-file", "timeout", "connect-timeout")
        section.close((*known, "token-hosts", "realm", "service"))
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
            raise _Invalid(f"there is no [upstream {text}] section; there are: {known}")
        return text

    def _path(self, text: str) -> PurePath:
        if not text:
            raise _Invalid("empty; write a path")
        return self.directory / text

    def _file(self, text: str) -> PurePath | None:
        path = self._path(text)
        problem = self.check_file(path)
        if problem is not None:
            raise _Invalid(problem)
        return path


def _split_title(title: str) -> tuple[str, str]:
    match = _SECTION.fullmatch(title)
    return (match["kind"], match["name"] or "") if match else (title, "")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _listeners(text: str) -> tuple[Listener, ...]:
    lines = _lines(text)
    if not lines:
        raise _Invalid("empty; write for example tls:443 or tcp:8080")
    return tuple(_listener(line) for line in lines)


def _listener(line: str) -> Listener:
    kind, _, rest = line.partition(":")
    tls = kind == "tls"
    if tls:
        kind, _, arguments = rest.partition(":")
        endpoint = rest if kind in ("systemd", "tcp", "unix") else f"tcp:{rest}"
    else:
        arguments = rest
        endpoint = line
    if endpoint.startswith("tcp:"):
        port = endpoint.split(":")[1]
        if not (port.isdigit() and int(port) < 65536):
            raise _Invalid(
                f"'{line}' has no port; write for example tls:443 or "
                "tls:8443:interface=127.0.0.1"
            )
    elif not endpoint.startswith(("systemd:", "unix:")) or not arguments:
        raise _Invalid(
            f"'{line}' is not understood; write tls:PORT, tcp:PORT, or "
            "tls:systemd:domain=INET:index=0"
        )
    return Listener(line, endpoint, tls)


def _networks(text: str) -> tuple[Network, ...]:
    networks = []
    for word in text.replace(",", " ").split():
        try:
            networks.append(ip_network(word))
        except ValueError:
            raise _Invalid(
                f"'{word}' is no address or network such as 10.0.0.0/8"
            ) from None
    return tuple(networks)


def _mapping(text: str, upstream: str) -> NameMapping:
    lines = _lines(text)
    if not lines:
        raise _Invalid("empty; write 'team = acme_team', or '* = *' for all names")
    try:
        return NameMapping([parse_rule(line) for line in lines], upstream)
    except InvalidRule as error:
        raise _Invalid(str(error)) from None


def _token_path(text: str) -> str:
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", text) or re.match(
        r"/v[12](?:/|$)", text
    ):
        raise _Invalid("write a path such as /auth, outside /v1 and /v2")
    return text


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise _Invalid(f"'{text}' is not known; write {' or '.join(choices)}")
        return text

    return parse


def _upstream_url(text: str) -> tuple[Origin | None, str]:
    if text == "sandbox:":
        return None, ""
    match = re.fullmatch(r"(https?)://([^/?#]+)(/[^?#]*)?", text)
    origin = match and parse_origin(match[1], match[2])
    if not match or origin is None:
        raise _Invalid("write https://HOST, https://HOST:PORT, or sandbox:")
    return origin, (match[3] or "").rstrip("/").removesuffix("/v2")


def _realm(text: str) -> str | None:
    match = re.fullmatch(r"(https?)://([^/?#]+)([/?][^#]*)?", text)
    if not match or parse_origin(match[1], match[2]) is None:
        raise _Invalid("write the URL of the token service, https://HOST/PATH")
    return text


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(text.lower().replace(",", " ").split())
    for host in hosts:
        if _HOST.fullmatch(host) is None:
            raise _Invalid(f"'{host}' is no host name; write it without scheme or port")
    return hosts


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise _Invalid(f"'{text}' is not a number of seconds above 0")
    return value


def _users(text: str) -> dict[str, str]:
    users: dict[str, Any] = {}
    for line in _lines(text):
        name, colon, password = line.partition(":")
        if not (name and colon and password):
            raise _Invalid("write one 'name:password' a line")
        users[name] = password
    return users
