"""What a configuration serves, in a few lines for people."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePath

from regbroker.settings.config import (
    CERTIFICATE,
    AccountsConfig,
    Config,
    HtpasswdConfig,
    LdapConfig,
    RegistryConfig,
    RobotsConfig,
)


def summary(config: Config) -> list[str]:
    """Return lines: what is served under which names, to whom, and where."""
    lines = ["listens on"]
    lines += [f"  {listener.text}" for listener in config.listen]
    lines += [
        f"  {listener.text}, for the operator" for listener in config.admin_listen
    ]
    if any(listener.tls for listener in config.listen):
        lines += ["shows the certificate", *_certificates(config)]
    lines.append("serves")
    for registry in config.registries:
        lines += served(config, registry)
        lines.append(f"      {_who(config, registry)}")
        lines += [f"      {trait}" for trait in _traits(registry)]
    lines += [
        f"  ns {source} -> [registry {host}]" for source, host in config.mirrors.items()
    ]
    return lines


def served(config: Config, registry: RegistryConfig) -> list[str]:
    """Return lines: a registry's upstreams, and the rules of its names."""
    lines = []
    start = f"  [registry {registry.host}]"
    for name in registry.upstreams:
        upstream = config.upstreams[name]
        where = upstream.url if upstream.origin else "a sandbox, for trying out"
        lines.append(f"{start} -> [upstream {name}] {where}")
        start = " " * len(start)
    return lines + [f"      {rule}" for rule in registry.mapping.rules]


def _certificates(config: Config) -> Iterator[str]:
    if not config.certificates:
        yield f"  self-signed, in {_plain(config.state_directory)}"
    others = "for every other host" if config.certificates[1:] else "for every host"
    for entry in config.certificates:
        yield f"  {entry.host or others}: {_plain(entry.certificate)}"


def _plain(path: PurePath) -> str:
    """Return a path without ``..``, unless a link makes another one of that."""
    plain = os.path.normpath(path)
    return plain if os.path.realpath(plain) == os.path.realpath(path) else str(path)


def _who(config: Config, registry: RegistryConfig) -> str:
    if registry.accounts == CERTIFICATE:
        return "accounts: the Common Name of client certificates"
    if registry.accounts is not None:
        shown = [f"[identity {name}]" for name in registry.identities]
        if registry.accounts:
            shown.insert(0, _sources(config.accounts[registry.accounts]))
        return f"accounts: {'; '.join(shown)}"
    trusted = ", ".join(f"[upstream {name}]" for name in registry.trusted_upstreams)
    text = f"accounts: those of {trusted}"
    if registry.shared_actions:
        actions = ", ".join(sorted(registry.shared_actions))
        text += f"; clients without one may {actions} with regbroker's own"
    return text


def _sources(accounts: AccountsConfig) -> str:
    shown = [_source(source) for source in accounts.sources]
    if accounts.application:
        shown.append("those of the application that embeds regbroker")
    return f"[accounts {accounts.name}]: {', '.join(shown)}"


def _source(source: HtpasswdConfig | LdapConfig | RobotsConfig) -> str:
    if isinstance(source, HtpasswdConfig):
        return f"htpasswd {_plain(source.path)}"
    if isinstance(source, RobotsConfig):
        return f"the robots {', '.join(source.users)}"
    return f"the directory {source.url.host or 'of the URL'}"


def _traits(registry: RegistryConfig) -> Iterator[str]:
    if registry.writes == "deny":
        yield "read-only"
    if registry.redirects == "follow":
        yield "redirects are followed here"
