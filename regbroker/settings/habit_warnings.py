"""What is right as it is written, and is mostly a slip: warnings about it."""

from __future__ import annotations

from collections.abc import Iterator

from regbroker.accounts.access import Kind
from regbroker.naming.rules import Rule
from regbroker.protocol.addresses import is_loopback
from regbroker.protocol.origins import Origin
from regbroker.settings.config import CERTIFICATE, Config, UpstreamConfig
from regbroker.settings.habits import path_hint
from regbroker.settings.suggestions import suggestion

#: Names of Docker Hub that are not its registry.
_NOT_DOCKER_HUB = frozenset(
    {"docker.io", "hub.docker.com", "index.docker.io", "www.docker.com"}
)


def habit_warnings(config: Config) -> Iterator[str]:
    """Yield a line for each, with section and option."""
    for upstream in config.upstreams.values():
        if upstream.origin is not None and upstream.origin.host in _NOT_DOCKER_HUB:
            yield (
                f"[upstream {upstream.name}] url: {upstream.origin.host} is not where "
                "Docker Hub's registry is; write https://registry-1.docker.io"
            )
            continue
        if upstream.base_path.endswith("/v1"):
            yield (
                f"[upstream {upstream.name}] url: it ends with the path of an API that "
                "no registry has any more, and /v2 is added; take /v1 away"
            )
        if (
            upstream.socket is None
            and upstream.origin
            and _is_own(upstream.origin, config)
        ):
            yield (
                f"[upstream {upstream.name}] url: {upstream.origin} is where regbroker "
                "itself listens; write where the registry is"
            )
    for entry in config.registries:
        if entry.accounts is not None:
            for name in entry.upstreams:
                if _is_closed_sandbox(config.upstreams[name]):
                    yield (
                        f"[upstream {name}] username: missing; the sandbox refuses "
                        "everybody without an account, and clients of [registry "
                        f"{entry.host}] have none there; write users, and username "
                        "with password-file"
                    )
        for rule in entry.mapping.rules:
            if _may_be_option(rule, config):
                yield (
                    f"[registry {entry.host}] namespaces: '{rule}' is read as a rule, "
                    "since a line with blanks at its beginning belongs to the option "
                    "above; if it is an option, take them away"
                )

    yield from _paths(config)
    yield from _words(config)


def _paths(config: Config) -> Iterator[str]:
    """Yield a line for each file that is made and has an odd name."""
    for option, path in (
        ("state-directory", config.state_directory),
        ("audit-log", config.audit_log),
        ("robot-token-list", config.robot_token_list),
    ):
        odd = path_hint(str(path or ""))
        if odd:
            yield f"[regbroker] {option}: '{path}' is taken as it is, {odd}"


def _words(config: Config) -> Iterator[str]:
    """Yield a line for each user whose name is nearly a word that means many."""
    words = [kind.value for kind in (Kind.ANONYMOUS, Kind.AUTHENTICATED)]
    for name, rules in config.access.items():
        users = {
            grant.subject.name: suggestion(grant.subject.name, words)
            for grant in rules.grants
            if grant.subject.kind is Kind.USER
        }
        for user, meant in users.items():
            if meant:
                yield (
                    f"[access {name}] {user}: this is the user of that name alone; "
                    f"{meant.strip()}"
                )


def _is_own(origin: Origin, config: Config) -> bool:
    """Tell whether one of our listeners has the port, on loopback."""
    if not (origin.host == "localhost" or is_loopback(origin.host)):
        return False
    places = {origin.host, "127.0.0.1" if origin.host == "localhost" else ""}
    return any(
        listener.where.port == origin.port
        and listener.where.interface in {"", "0.0.0.0", "::"} | places
        for listener in config.listen
    )


def _is_closed_sandbox(upstream: UpstreamConfig) -> bool:
    """Tell whether an upstream is a sandbox at which regbroker has no account."""
    return upstream.origin is None and not upstream.has_account


def _may_be_option(rule: Rule, config: Config) -> bool:
    """Tell whether a rule looks like an option that stands in its place."""
    value = rule.upstream.text
    values = {
        "accounts": {"upstream", CERTIFICATE, *config.accounts},
        "access": set(config.access),
        "upstream": set(config.upstreams),
        "writes": {"allow", "deny"},
        "redirects": {"follow", "pass"},
        "anonymous": {"shared"},
    }
    return value in values.get(rule.public.text, ())
