"""
One section of the ini file at a time: its options read into a value.

What is wrong is noted, with section and option, and reading goes on with the
default.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeVar

from regbroker import inivalues
from regbroker.config import (
    DEFAULT_CONNECT_TIMEOUT,
    DEFAULT_TIMEOUT,
    CertificateFiles,
    Listener,
    RegistryConfig,
    UpstreamConfig,
)
from regbroker.headers import Network

T = TypeVar("T")

#: Says what is wrong with a file that must be readable; None when it is fine.
FileCheck = Callable[[PurePath], str | None]

_DEFAULT_LISTEN = "tls:8443:interface=127.0.0.1"


class Section:
    """Reads one section's options, and notes what is wrong or left over."""

    def __init__(
        self,
        title: str,
        options: Mapping[str, str],
        problems: list[str],
        directory: PurePath,
        check_file: FileCheck,
    ) -> None:
        self.title = title
        self._problems = problems
        self._options = dict(options)
        self._known: list[str] = []
        self._directory = directory
        self._check_file = check_file

    def wrong(self, text: str) -> None:
        """Note what is wrong with the section as a whole."""
        self._problems.append(f"[{self.title}]: {text}")

    def problem(self, option: str, text: str) -> None:
        """Note what is wrong with one option."""
        self._problems.append(f"[{self.title}] {option}: {text}")

    def get(self, option: str, parse: Callable[[str], T], default: T) -> T:
        """Return an option's value; the default when it is wrong or not there."""
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
        """Return an option's value; that it is missing is a problem."""
        if option not in self._options:
            self._known.append(option)
            self.problem(option, f"missing; {hint}")
            return None
        return self.get(option, lambda text: parse(text), None)

    def path(self, text: str) -> PurePath:
        """Parse a path; relative ones start from the ini file's directory."""
        if not text:
            raise inivalues.InvalidValue("empty; write a path")
        return self._directory / text

    def file(self, text: str) -> PurePath | None:
        """Parse the path of a file that must be readable."""
        path = self.path(text)
        problem = self._check_file(path)
        if problem is not None:
            raise inivalues.InvalidValue(problem)
        return path

    def has(self, option: str) -> bool:
        """Tell whether an option is given and has not been read yet."""
        return option in self._options

    def close(self) -> None:
        """Note the options that nobody knows."""
        for option in self._options:
            known = ", ".join(self._known)
            self.problem(option, f"unknown option; known here: {known}")


@dataclass(frozen=True)
class Main:
    """What ``[regbroker]`` says."""

    listen: tuple[Listener, ...]
    state_directory: PurePath
    trusted_proxies: tuple[Network, ...]


def read_main(section: Section) -> Main:
    """Read ``[regbroker]``."""
    main = Main(
        section.get(
            "listen", inivalues.listeners, inivalues.listeners(_DEFAULT_LISTEN)
        ),
        section.get("state-directory", section.path, section.path("var")),
        section.get("trusted-proxies", inivalues.networks, inivalues.networks("")),
    )
    section.close()
    return main


def read_tls(section: Section, host: str) -> CertificateFiles | None:
    """Read ``[tls]`` or ``[tls NAME]``."""
    if host and inivalues.HOST.fullmatch(host.removeprefix("*.")) is None:
        section.wrong(f"'{host}' is no host name")
    given = section.has("certificate"), section.has("key")
    certificate = section.get("certificate", section.file, None)
    key = section.get("key", section.file, None)
    section.close()
    if any(given) and not all(given):
        missing = "key" if given[0] else "certificate"
        section.problem(missing, "missing; certificate and key go together")
    if host and not any(given):
        section.problem("certificate", "missing; a named section needs one")
    if certificate is None or key is None:
        return None
    return CertificateFiles(host, certificate, key)


def read_registry(
    section: Section, host: str, upstreams: Collection[str]
) -> RegistryConfig | None:
    """Read ``[registry HOST]``; `upstreams` are the names that it may use."""
    if host != "*" and inivalues.HOST.fullmatch(host) is None:
        section.wrong(
            f"'{host}' is no host name; write the name that clients use, in lower "
            "case and without a port, or *"
        )
    upstream = section.require(
        "upstream",
        inivalues.one_of_sections("upstream", upstreams),
        "name an [upstream NAME] section",
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
        return None
    return RegistryConfig(host, upstream, rules, token_path, catalog)


def read_upstream(section: Section, name: str) -> UpstreamConfig:
    """Read ``[upstream NAME]``."""
    url = section.require(
        "url",
        inivalues.upstream_url,
        "write https://HOST, or sandbox: to try things out",
    )
    origin, base_path = url or (None, "")
    upstream = UpstreamConfig(
        name,
        origin,
        base_path,
        section.get("ca-file", section.file, None),
        section.get("timeout", inivalues.seconds, DEFAULT_TIMEOUT),
        section.get("connect-timeout", inivalues.seconds, DEFAULT_CONNECT_TIMEOUT),
        section.get("token-hosts", inivalues.hosts, ()),
        section.get("realm", inivalues.realm, None),
        section.get("service", str, None),
        section.get("users", inivalues.users, inivalues.users("")),
    )
    section.close()
    if url is None:
        return upstream
    if origin is not None and upstream.users:
        section.problem("users", "belongs to 'url = sandbox:' only; take it out")
    if upstream.ca_file is not None and (origin is None or origin.scheme == "http"):
        section.problem("ca-file", "needs an https url; take it out")
    if upstream.service and not upstream.realm:
        section.problem("service", "needs a realm beside it; the two go together")
    return upstream
