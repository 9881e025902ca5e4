"""
What a configuration says in vain, and what its operator may not mean.

A configuration with warnings is served; one with problems (`regbroker.settings.ini`) is
not. ``regbroker check`` prints the warnings, and twistd logs each once when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from regbroker.accounts.unreachable_access import unreachable
from regbroker.settings.config import (
    CERTIFICATE,
    DEFAULT_ANSWER_TIMEOUT,
    Config,
    LdapConfig,
    RegistryConfig,
    RobotsConfig,
    UpstreamConfig,
)
from regbroker.settings.habit_warnings import habit_warnings
from regbroker.settings.identity_warnings import identity_warnings

#: A docker credential helper is a program with this before its name.
HELPER_PREFIX = "docker-credential-"


def warnings(
    config: Config,
    find_program: Callable[[str], str | None],
    find_file: Callable[[str], str | None] = lambda name: None,
) -> Iterator[str]:
    """
    Yield the warnings, each a line that names section and option.

    `find_program` returns the path of a program in ``PATH``, or None. `find_file`
    returns that of a file there that may not be a program.
    """
    yield from config.file_warnings
    yield from _main(config)
    hosts = {entry.host for entry in config.registries}
    for entry in config.registries:
        for option, text in _registry(entry, hosts, config):
            yield f"[registry {entry.host}] {option}: {text}"
    for upstream in config.upstreams.values():
        users = [e for e in config.registries if upstream.name in e.upstreams]
        if not users:
            yield _unused("upstream", upstream.name)
            continue
        for option, text in [
            *_upstream(upstream, users, config),
            *_own_account(upstream, users, find_program, find_file),
        ]:
            yield f"[upstream {upstream.name}] {option}: {text}"
    yield from _accounts(config)
    yield from _access(config)
    yield from identity_warnings(config)
    yield from habit_warnings(config)


def _unused(kind: str, name: str) -> str:
    return (
        f"[{kind} {name}]: no [registry HOST] uses it; name it there as "
        f"'{kind} = {name}' or take it out"
    )


def _main(config: Config) -> Iterator[str]:
    if config.certificates and not any(entry.tls for entry in config.listen):
        title = f"tls {config.certificates[0].host}".strip()
        yield (
            f"[{title}] certificate: nothing listens with TLS, so it has no "
            "effect; write for example 'listen = tls:443', or take it out"
        )
    if config.client_ca and all(
        entry.accounts != CERTIFICATE for entry in config.registries
    ):
        yield (
            "[regbroker] client-ca: no registry has 'accounts = certificate', so it "
            "has no effect; take it out"
        )
    if config.metrics_repositories and not config.admin_listen:
        yield (
            "[regbroker] metrics-repositories: there are no metrics without "
            "admin-listen; write for example 'admin-listen = tcp:9180', or take it out"
        )
    most, each = config.max_connections, config.max_connections_per_address
    if most is not None and each is not None and each > most:
        yield (
            "[regbroker] max-connections-per-address: more than max-connections, "
            f"which is {most}; write less"
        )


def _registry(
    entry: RegistryConfig, hosts: Collection[str], config: Config
) -> Iterator[tuple[str, str]]:
    """Yield options of a registry, each with its warning."""
    for rule in entry.mapping.unused_rules:
        yield (
            "namespaces",
            f"'{rule}' never applies: each upstream has a rule of its own for "
            f"'{rule.public}'; take it out",
        )
    for host in entry.hosts:
        if host in hosts:
            yield (
                "hosts",
                f"{host} has a section of its own, which serves it; take it out here",
            )
    if entry.accounts is None:
        needs_accounts = "needs 'accounts = NAME'; the upstream decides now"
        if entry.basic_challenge:
            yield "challenge", needs_accounts
        if entry.token_life != RegistryConfig.token_life:
            yield "token-life", needs_accounts
        if entry.robot_tokens:
            yield "robot-tokens", needs_accounts
        if entry.tests:
            yield "tests", needs_accounts
        with_account = [n for n in entry.upstreams if config.upstreams[n].has_account]
        if entry.shared_actions and not with_account:
            yield (
                "anonymous",
                "there is no account to share; write username and password-file, or "
                f"credential-helper, in [upstream {entry.upstreams[0]}]",
            )
        return
    if entry.accounts == CERTIFICATE:
        for option, is_set in (
            ("challenge", entry.basic_challenge),
            ("token-life", entry.token_life != RegistryConfig.token_life),
            ("robot-tokens", entry.robot_tokens),
        ):
            if is_set:
                yield option, "has no effect with 'accounts = certificate'; take it out"
    if entry.shared_actions:
        yield (
            "anonymous",
            "needs 'accounts = upstream'; grant it in [access NAME] instead",
        )
    # docker brings nothing to a registry that asks for Basic, unless it has logged in;
    # it does not try without.
    if entry.basic_challenge and entry.access and entry.access.anonymous_may_anything:
        yield (
            "challenge",
            "with 'challenge = basic' docker without a login says 'no basic auth "
            "credentials' and asks for nothing, whatever anonymous may do here; write "
            "'challenge = bearer', or grant anonymous nothing",
        )


def _upstream(
    upstream: UpstreamConfig, users: Sequence[RegistryConfig], config: Config
) -> Iterator[tuple[str, str]]:
    """Yield options of an upstream, each with its warning."""
    if upstream.users and upstream.origin is not None:
        yield "users", "belongs to 'url = sandbox:' only; take it out"
    is_https = upstream.origin is not None and upstream.origin.scheme == "https"
    if upstream.client_certificate and not is_https and upstream.realm is None:
        yield "client-certificate", "is only for https; take it out"
    if upstream.proxy and upstream.origin is None:
        yield "proxy", "the sandbox needs none; take it out"
    if upstream.ca_file and (not upstream.origin or upstream.origin.scheme == "http"):
        yield "ca-file", "needs an https url; take it out"
    if upstream.service and upstream.realm is None:
        yield "service", "needs a realm beside it; the two go together"
    if upstream.token_hosts and upstream.realm is not None:
        yield (
            "token-hosts",
            "has no effect beside realm, which alone counts; take one of them out",
        )
    if upstream.answer_timeout != DEFAULT_ANSWER_TIMEOUT:
        # With several, a ping goes on to the next, whatever the rules say of names.
        if all(len(entry.upstreams) == 1 for entry in users):
            yield (
                "answer-timeout",
                "there is no other upstream to ask instead; take it out, or write "
                "timeout",
            )
        elif upstream.answer_timeout > upstream.timeout:
            yield (
                "answer-timeout",
                f"longer than timeout, which is {upstream.timeout:g} here; write less",
            )
    if not any(entry.redirects == "follow" for entry in users):
        for option, value in (
            ("redirect-hosts", upstream.redirect_hosts),
            ("redirect-paths", upstream.redirect_paths),
        ):
            if value:
                yield (
                    option,
                    "no [registry ...] that leads here follows redirects; write "
                    "'redirects = follow' there, or take it out",
                )
    if upstream.search_url and all(
        _searched(entry, config) != upstream.name for entry in users
    ):
        yield (
            "search-url",
            "each [registry ...] that leads here searches an upstream that comes "
            "before this one; take it out",
        )


def _searched(entry: RegistryConfig, config: Config) -> str | None:
    """Return the upstream that a registry's searches go to."""
    return next((n for n in entry.upstreams if config.upstreams[n].search_url), None)


def _own_account(
    upstream: UpstreamConfig,
    users: Sequence[RegistryConfig],
    find_program: Callable[[str], str | None],
    find_file: Callable[[str], str | None],
) -> Iterator[tuple[str, str]]:
    """Yield options of regbroker's own account, each with its warning."""
    helper = upstream.credential_helper
    if upstream.credential_server and not helper:
        yield "credential-server", "needs a credential-helper beside it"
    if upstream.has_account and not any(
        entry.accounts is not None or entry.shared_actions for entry in users
    ):
        yield (
            "username" if upstream.username else "credential-helper",
            "nobody uses it; write 'anonymous = shared' in the [registry ...] that "
            "leads here, or give that accounts of its own",
        )
    if helper and find_program(HELPER_PREFIX + helper) is None:
        file = find_file(HELPER_PREFIX + helper)
        if file is not None:
            yield (
                "credential-helper",
                f"{file} cannot be run; write 'chmod +x {file}' in a shell",
            )
            return
        advice = "install it there"
        short = helper.removeprefix(HELPER_PREFIX)
        if short and short != helper:
            advice = f"write 'credential-helper = {short}', without {HELPER_PREFIX}"
        yield (
            "credential-helper",
            f"there is no program {HELPER_PREFIX}{helper} in PATH; {advice}",
        )


def _accounts(config: Config) -> Iterator[str]:
    for name, accounts in config.accounts.items():
        if all(entry.accounts != name for entry in config.registries):
            yield _unused("accounts", name)
        takes_tokens = any(
            entry.robot_tokens and entry.accounts == name for entry in config.registries
        )
        for source in accounts.sources:
            if isinstance(source, RobotsConfig) and not takes_tokens:
                yield (
                    f"[accounts {name}] robots: they cannot log in; write "
                    "'robot-tokens = yes' in the [registry ...] with these accounts"
                )
            if (
                isinstance(source, LdapConfig)
                and source.group_filter
                and not source.group_base
            ):
                yield (
                    f"[accounts {name}] ldap-group-filter: needs ldap-group-base "
                    "beside it"
                )


def _access(config: Config) -> Iterator[str]:
    for name, rules in config.access.items():
        users = [entry for entry in config.registries if entry.access is rules]
        if not users:
            yield _unused("access", name)
            continue
        has_groups = any(
            isinstance(source, LdapConfig)
            for entry in users
            if entry.accounts is not None and entry.accounts in config.accounts
            for source in config.accounts[entry.accounts].sources
        ) or any(
            config.identities[identity].groups
            for entry in users
            for identity in entry.identities
        )
        if not rules.grants:
            yield (
                f"[access {name}]: empty, so everything is refused; write for example "
                "'alice = team/**: pull, push'"
            )
        mappings = [entry.mapping for entry in users]
        for line in unreachable(rules, *mappings, has_groups=has_groups):
            yield f"[access {name}] {line}"
