"""
One section of the ini file at a time: its options become a configuration value.

What is ambiguous or unsafe is a problem. What has no effect is a warning
(`regbroker.settings.warnings`), mostly about the finished configuration; those lines
that it does not hold are warned of here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from regbroker.accounts.access import AccessRules
from regbroker.protocol.origins import Origin
from regbroker.settings import references
from regbroker.settings.addresses import Place, is_host
from regbroker.settings.config import (
    Config,
    RegistryConfig,
    UpstreamConfig,
)
from regbroker.settings.habits import host_hint
from regbroker.settings.options import (
    PACE,
    REGBROKER,
    REGISTRY,
    TLS,
    UPSTREAM,
)
from regbroker.settings.same_ports import clashes
from regbroker.settings.section import Section
from regbroker.transport.listening.listeners import CertificateFiles
from regbroker.transport.server.pace import Pace


def read_main(section: Section) -> dict[str, Any]:
    """Read ``[regbroker]``; returns fields of `Config`."""
    section.check_names("regbroker")
    fields = section.read(REGBROKER)
    fields["pace"] = Pace(**section.read(PACE))
    fields.setdefault("state_directory", section.path(Config.state_directory))
    listen = fields.get("listen", ())
    among_clients = list(clashes(listen))
    for clash in clashes((*listen, *fields.get("admin_listen", ()))):
        section.problem("listen" if clash in among_clients else "admin-listen", clash)
    if any(each.redirects for each in listen) and not any(each.tls for each in listen):
        section.problem(
            "listen", "redirect: sends clients to https; write a tls: listener, too"
        )
    if any(each.proxy_protocol for each in listen) and not (
        fields.get("trusted_proxies") or section.is_wrong("trusted-proxies")
    ):
        section.problem(
            "listen", "proxy: needs trusted-proxies, whose PROXY lines are believed"
        )
    return fields


def read_tls(section: Section, host: str) -> CertificateFiles | None:
    """Read ``[tls]`` or ``[tls NAME]``."""
    if host and not is_host(host.removeprefix("*.")):
        section.wrong(f"'{host}' is no host name; write it in lower case")
    section.check_names("tls")
    files = section.read(TLS)
    if "certificate" in section and "key" not in section:
        section.problem("key", "missing; certificate and key go together")
    elif "key" in section and "certificate" not in section:
        section.problem("certificate", "missing; certificate and key go together")
    elif host and "certificate" not in section:
        section.problem("certificate", "missing; a named section needs one")
    return CertificateFiles(host, **files) if len(files) == 2 else None


@dataclass(frozen=True)
class NamedSections:
    """The sections that a ``[registry HOST]`` may name."""

    upstreams: Collection[str]
    default_namespaces: Mapping[str, str]
    accounts: Collection[str]
    access: Mapping[str, AccessRules]
    identities: Collection[str] = ()


def read_registry(
    section: Section, host: str, sections: NamedSections
) -> RegistryConfig | None:
    """Read ``[registry HOST]``; None when nobody knows where its names lead."""
    if host != "*" and not is_host(host):
        meant = host_hint(host)
        section.wrong(
            f"'{host}' is no host name; write the name that clients use, in lower "
            f"case and without a port, or *{f': {meant}' if meant else ''}"
        )
    section.check_names("registry")
    fields = section.read(REGISTRY)
    no_names: tuple[str, ...] = ()
    listed = section.parse(
        "upstream", references.some_sections("upstream", sections.upstreams), no_names
    )
    # Where the upstreams are wrong, the rules may have problems of their own.
    rules_for = sections.upstreams if section.is_wrong("upstream") else listed
    mapping = section.parse(
        "namespaces",
        lambda text: references.mapping(
            text, rules_for, sections.upstreams, sections.default_namespaces
        ),
        None,
    )
    served = sections.upstreams
    if mapping is not None:
        served = {name for group in mapping.groups for name in group}
    for name in listed:
        # The first one is sent passwords: it must be one that is meant.
        if name not in served:
            section.problem("upstream", references.no_rule(name))
    who = section.parse(
        "accounts",
        references.registry_accounts(
            sections.accounts, sections.identities, sections.upstreams, served
        ),
        references.AccountsOf("upstream"),
    )
    access = section.parse(
        "access",
        references.one_of_sections("access", sections.access),
        who.named or who.accounts,
    )
    if host != "*" and "hosts" in section:
        section.problem("hosts", f"belongs in [registry *]; this one is for {host}")
    _check_rights(section, who, sections)
    if mapping is None or section.is_wrong("upstream"):
        return None
    is_local = who.accounts != "upstream"
    registry = RegistryConfig(
        host=host,
        mapping=mapping,
        accounts=who.accounts if is_local else None,
        identities=who.identities,
        access=sections.access.get(access) if is_local else None,
        trusted_upstreams=() if is_local else who.trusted or mapping.upstreams[:1],
        **fields,
    )
    _check_short_names(section, registry)
    return registry


def _check_rights(
    section: Section, who: references.AccountsOf, sections: NamedSections
) -> None:
    """Add a problem where rights and accounts do not go together."""
    if section.is_wrong("accounts"):
        # Whose they are meant to be is not known.
        return
    named = who.named or who.accounts
    if named == "upstream":
        # These rights would limit nobody.
        if "access" in section:
            section.problem(
                "access", "needs 'accounts = NAME'; the upstream decides now"
            )
    elif "access" not in section and named not in sections.access:
        section.problem(
            "access", f"missing; write [access {named}], or name another section"
        )


def _check_short_names(section: Section, registry: RegistryConfig) -> None:
    """Add a problem where a later upstream would make a longer name of a push."""
    if registry.writes == "deny":
        return
    mapping = registry.mapping
    for first, *others in mapping.groups:
        for other in others:
            namespace = mapping.default_namespace(other)
            if namespace and not mapping.default_namespace(first):
                section.problem(
                    "writes",
                    f"app would be pushed to [upstream {first}] as {namespace}/app, "
                    f"because of the default-namespace of [upstream {other}]; write "
                    f"'writes = deny', or a default-namespace for {first}, too",
                )
                return


#: Where an upstream is whose url is wrong: without an origin it would be a sandbox,
#: whose directory is looked at.
_UNKNOWN = Place(Origin("https", "unknown.invalid", 443))


def read_upstream(section: Section, name: str) -> UpstreamConfig:
    """Read ``[upstream NAME]``."""
    section.check_names("upstream")
    fields = section.read(UPSTREAM)
    place = fields.pop("origin", _UNKNOWN)
    origin = place.origin
    upstream = UpstreamConfig(name=name, **place._asdict(), **fields)
    _check_own_account(section)
    _check_way_out(section, upstream)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        section.wrong("the name may have letters, digits, and . _ - between them")
    if section.is_wrong("url") or upstream.realm is None:
        return upstream
    if origin is None:
        # Passwords of the sandbox would go to another server.
        section.problem("realm", "means nothing to 'url = sandbox:'; take it out")
    elif origin.scheme == "https" and upstream.realm.startswith("http:"):
        section.problem("realm", "would send passwords in the clear; write https")
    return upstream


def _check_way_out(section: Section, upstream: UpstreamConfig) -> None:
    """Add problems with a proxy, or a client certificate, that cannot be used."""
    for one, other in (
        ("client-certificate", "client-key"),
        ("client-key", "client-certificate"),
    ):
        if one in section and other not in section:
            section.problem(other, f"missing; {one} and {other} go together")
    check_proxy_credentials(section, upstream.proxy)


def check_proxy_credentials(section: Section, proxy: object) -> None:
    """Add a problem with credentials that no proxy gets."""
    if "proxy-credentials-file" in section and "proxy" not in section:
        section.problem("proxy", "missing; proxy-credentials-file is for a proxy")
    elif "proxy-credentials-file" in section and proxy == "environment":
        section.problem(
            "proxy-credentials-file",
            "belongs to 'proxy = http://HOST:PORT'; the environment's proxies bring "
            "their own",
        )


def _check_own_account(section: Section) -> None:
    """Add problems with regbroker's own account: a half of it, or two accounts."""
    passwords = [o for o in ("password-file", "password-env") if o in section]
    if len(passwords) > 1:
        section.problem("password-env", "takes the place of password-file; keep one")
    if "username" in section and not passwords:
        section.problem(
            "password-file",
            "missing; username goes together with password-file, or password-env",
        )
    elif passwords and "username" not in section:
        section.problem("username", f"missing; username and {passwords[0]} go together")
    if "credential-helper" in section and "username" in section:
        section.problem("credential-helper", "takes the place of username; keep one")
