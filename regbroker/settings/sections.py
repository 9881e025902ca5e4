"""
One section of the ini file at a time: its options read into a value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from regbroker.accounts.access import AccessRules, InvalidAccess, parse_access
from regbroker.accounts.tokens import ACCESS_LIFE
from regbroker.protocol.headers import Network
from regbroker.protocol.locations import SHOW_ADDRESS
from regbroker.settings import values
from regbroker.settings.config import (
    DEFAULT_ANSWER_TIMEOUT,
    DEFAULT_CONNECT_TIMEOUT,
    DEFAULT_TIMEOUT,
    AccountsConfig,
    HtpasswdConfig,
    LdapConfig,
    RegistryConfig,
    UpstreamConfig,
)
from regbroker.settings.section import Section
from regbroker.transport.listeners import CertificateFiles, Listener
from regbroker.transport.pace import (
    DEFAULT_BODY_TIMEOUT,
    DEFAULT_CLIENT_TIMEOUT,
    DEFAULT_MIN_UPLOAD_RATE,
    Pace,
)

#: docker before 1.6 speaks another protocol, and says only "Go" in its ping.
_DENIED_USER_AGENTS = r"docker/1\.(?:[0-4]|5(?!\.[0-9]-dev))\b|Go \d"

_DEFAULT_LISTEN = "tls:8443:interface=127.0.0.1"


@dataclass(frozen=True)
class Main:
    """What ``[regbroker]`` says."""

    listen: tuple[Listener, ...]
    state_directory: PurePath
    trusted_proxies: tuple[Network, ...]
    signing_key: PurePath | None
    denied_user_agents: re.Pattern[str] | None
    sources: Mapping[str, str]
    pace: Pace
    max_connections: int | None
    max_connections_per_address: int | None


def read_main(section: Section) -> Main:
    """Read ``[regbroker]``."""
    main = Main(
        section.get("listen", values.listeners, values.listeners(_DEFAULT_LISTEN)),
        section.get("state-directory", section.path, section.path("var")),
        section.get("trusted-proxies", values.networks, values.networks("")),
        section.get("signing-key", section.file, None),
        section.get(
            "deny-user-agents",
            values.pattern,
            values.pattern(_DENIED_USER_AGENTS),
        ),
        section.get("ns", values.sources, values.sources("")),
        Pace(
            section.get("client-timeout", values.seconds, DEFAULT_CLIENT_TIMEOUT),
            section.get("body-timeout", values.seconds, DEFAULT_BODY_TIMEOUT),
            section.get("min-upload-rate", values.rate, DEFAULT_MIN_UPLOAD_RATE),
        ),
        section.get("max-connections", values.count, None),
        section.get("max-connections-per-address", values.count, None),
    )
    section.close()
    if any(listener.proxy_protocol for listener in main.listen) and not (
        main.trusted_proxies
    ):
        section.problem(
            "listen", "proxy: needs trusted-proxies, whose PROXY lines are believed"
        )
    most, each = main.max_connections, main.max_connections_per_address
    if most is not None and each is not None and each > most:
        section.problem(
            "max-connections-per-address",
            f"more than max-connections, which is {most}; write less",
        )
    return main


def read_tls(section: Section, host: str) -> CertificateFiles | None:
    """Read ``[tls]`` or ``[tls NAME]``."""
    if host and not values.is_host(host.removeprefix("*.")):
        section.wrong(f"'{host}' is no host name; write it in lower case")
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


@dataclass(frozen=True)
class Known:
    """What other sections a ``[registry HOST]`` may name."""

    upstreams: Collection[str]
    default_namespaces: Mapping[str, str]
    accounts: Collection[str]
    access: Mapping[str, AccessRules]


def read_registry(section: Section, host: str, known: Known) -> RegistryConfig | None:
    """Read ``[registry HOST]``."""
    if host != "*" and not values.is_host(host):
        section.wrong(
            f"'{host}' is no host name; write the name that clients use, in lower "
            "case and without a port, or *"
        )
    listed: tuple[str, ...] | None = ()
    if section.has("upstream"):
        listed = section.get(
            "upstream", values.some_sections("upstream", known.upstreams), None
        )
    mapping = section.require(
        "namespaces",
        # With a wrong upstream, the rules still have something to say.
        lambda text: values.mapping(
            text,
            listed if listed is not None else known.upstreams,
            known.upstreams,
            known.default_namespaces,
        ),
        "write 'team = acme_team', or '* = *' to leave every name as it is",
    )
    upstreams = mapping.upstreams if mapping is not None else known.upstreams
    served = known.upstreams
    if mapping is not None:
        served = {name for group in mapping.groups for name in group}
    for name in listed or ():
        # The first one is sent passwords: it must be one that is meant.
        if name not in served:
            section.problem("upstream", values.no_rule(name))
    nobody: tuple[str, ...] = ()
    accounts, trusted = section.get(
        "accounts",
        values.registry_accounts(known.accounts, known.upstreams, served),
        ("upstream", nobody),
    )
    is_local = accounts != "upstream"
    access = section.get("access", values.one_of_sections("access", known.access), None)
    registry = RegistryConfig(
        host,
        mapping or values.mapping("* = *", ["none"], ["none"], {}),
        () if is_local else trusted or tuple(upstreams)[:1],
        section.get("token-path", values.token_path, "/auth"),
        section.get("catalog", values.one_of("filter", "deny"), "filter"),
        accounts if is_local else None,
        known.access.get(access or accounts),
        section.get("challenge", values.one_of("bearer", "basic"), "bearer") == "basic",
        section.get("token-life", values.token_life, ACCESS_LIFE),
        section.get("public-url", values.public_url, None),
        section.get("anonymous", values.shared_actions, frozenset()),
        section.get("redirects", values.one_of("pass", "follow"), "pass"),
        section.get("writes", values.one_of("allow", "deny"), "allow"),
        section.get("cors-origins", values.cors_origins, ()),
        section.get("hosts", values.public_hosts, ()),
        section.get("extensions", values.extensions, ()),
    )
    if host != "*" and section.gave("hosts"):
        section.problem("hosts", f"belongs in [registry *]; this one is for {host}")
    _check_rights(section, registry)
    _check_short_names(section, registry)
    section.close()
    return registry if listed is not None and mapping is not None else None


def _check_rights(section: Section, registry: RegistryConfig) -> None:
    """Note which options do not go together with the accounts that there are."""
    if section.is_wrong("accounts"):
        # Whose they are meant to be is not known.
        return
    if registry.accounts is None:
        for option in ("access", "challenge", "token-life"):
            if section.gave(option):
                section.problem(
                    option, "needs 'accounts = NAME'; the upstream decides now"
                )
        return
    if registry.access is None and not section.is_wrong("access"):
        section.problem(
            "access",
            f"missing; write [access {registry.accounts}], or name another section",
        )
    if registry.shared_actions:
        section.problem(
            "anonymous",
            "needs 'accounts = upstream'; grant it in [access NAME] instead",
        )


def _check_short_names(section: Section, registry: RegistryConfig) -> None:
    """Note where a push would go to a longer name because of a later upstream."""
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


def read_upstream(section: Section, name: str) -> UpstreamConfig:
    """Read ``[upstream NAME]``."""
    url = section.require(
        "url",
        values.upstream_url,
        "write https://HOST, or sandbox: to try things out",
    )
    origin, base_path = url or (None, "")
    upstream = UpstreamConfig(
        name,
        origin,
        base_path,
        section.get("ca-file", section.file, None),
        section.get("timeout", values.seconds, DEFAULT_TIMEOUT),
        section.get("connect-timeout", values.seconds, DEFAULT_CONNECT_TIMEOUT),
        section.get("token-hosts", values.hosts, ()),
        section.get("realm", values.realm, None),
        section.get("service", values.service, None),
        section.get("users", values.users, values.users("")),
        section.get("username", values.username, ""),
        section.get("password-file", section.file, None),
        section.get("credential-helper", values.helper_name, ""),
        section.get("answer-timeout", values.seconds, DEFAULT_ANSWER_TIMEOUT),
        section.get("default-namespace", values.namespace, ""),
        section.get("redirect-hosts", values.hosts, ()),
        section.get("search-url", values.search_url, None),
        section.get("password-env", values.variable, ""),
        section.get("credential-server", values.credential_server, ""),
        section.get("redirect-paths", values.path_prefixes, ()),
        section.get("show-address", values.one_of(*SHOW_ADDRESS), "if-public"),
    )
    section.close()
    _check_own_account(section)
    if (
        section.gave("answer-timeout")
        and not section.is_wrong("timeout")
        and upstream.answer_timeout > upstream.timeout
    ):
        section.problem(
            "answer-timeout",
            f"longer than timeout, which is {upstream.timeout:g} here; write less",
        )
    if url is None:
        return upstream
    if origin is not None and upstream.users:
        section.problem("users", "belongs to 'url = sandbox:' only; take it out")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        section.wrong("the name may have letters, digits, and . _ - between them")
    if upstream.realm and origin is None:
        section.problem("realm", "means nothing to 'url = sandbox:'; take it out")
    elif (
        upstream.realm is not None
        and upstream.realm.startswith("http:")
        and origin is not None
        and origin.scheme == "https"
    ):
        section.problem("realm", "would send passwords in the clear; write https")
    if upstream.ca_file is not None and (origin is None or origin.scheme == "http"):
        section.problem("ca-file", "needs an https url; take it out")
    if upstream.service and not section.gave("realm"):
        section.problem("service", "needs a realm beside it; the two go together")
    return upstream


def _check_own_account(section: Section) -> None:
    """Note what does not go together of an account of our own."""
    passwords = [o for o in ("password-file", "password-env") if section.gave(o)]
    if len(passwords) > 1:
        section.problem("password-env", "takes the place of password-file; keep one")
    if section.gave("username") and not passwords:
        section.problem(
            "password-file",
            "missing; username goes together with password-file, or password-env",
        )
    elif passwords and not section.gave("username"):
        section.problem("username", f"missing; username and {passwords[0]} go together")
    if section.gave("credential-helper") and section.gave("username"):
        section.problem("credential-helper", "takes the place of username; keep one")
    if section.gave("credential-server") and not section.gave("credential-helper"):
        section.problem("credential-server", "needs a credential-helper beside it")


def read_accounts(section: Section, name: str) -> AccountsConfig:
    """
    Read ``[accounts NAME]``.

    Sources are asked in the order in which they are written.
    """
    if name == "upstream":
        section.wrong("'upstream' is the upstream's own accounts; choose another name")
    sources: list[HtpasswdConfig | LdapConfig] = []
    for option in [o for o in section.options() if o in ("htpasswd", "ldap")]:
        if option == "htpasswd":
            none: tuple[PurePath, ...] = ()
            paths = section.get(option, section.files, none)
            sources += [HtpasswdConfig(path) for path in paths]
        else:
            ldap = _read_ldap(section)
            sources += [ldap] if ldap is not None else []
    if not section.gave("ldap"):
        for option in section.options():
            if option.startswith("ldap-"):
                section.problem(option, "needs an ldap option beside it")
                section.get(option, str, "")
    section.get("htpasswd", str, "")
    section.get("ldap", str, "")
    section.close()
    if not (section.gave("htpasswd") or section.gave("ldap")):
        section.wrong("no source of accounts; write htpasswd = FILE, or ldap = URL")
    return AccountsConfig(name, tuple(sources))


def _read_ldap(section: Section) -> LdapConfig | None:
    url = section.get("ldap", values.ldap_url, None)
    ca_file = section.get("ldap-ca-file", section.file, None)
    start_tls = section.get("ldap-start-tls", values.yes_or_no, True)
    bind_dn = section.get("ldap-bind-dn", str, "")
    bind_password_file = section.get("ldap-bind-password-file", section.file, None)
    group_base = section.get("ldap-group-base", str, "")
    group_filter = section.get("ldap-group-filter", str, "")
    if section.gave("ldap-bind-dn") != section.gave("ldap-bind-password-file"):
        missing = "ldap-bind-password-file" if bind_dn else "ldap-bind-dn"
        section.problem(missing, "missing; DN and password file go together")
    if group_filter and not group_base:
        section.problem("ldap-group-filter", "needs ldap-group-base beside it")
    if url is None:
        return None
    return LdapConfig(
        url,
        ca_file,
        start_tls,
        bind_dn,
        bind_password_file,
        group_base,
        group_filter,
    )


def read_access(section: Section) -> AccessRules:
    """Read ``[access NAME]``: each option is a subject."""
    try:
        return parse_access(section.rest())
    except InvalidAccess as error:
        for problem in error.problems:
            subject, colon, text = problem.partition(": ")
            section.problem(subject, text) if colon else section.wrong(problem)
        return AccessRules(())
