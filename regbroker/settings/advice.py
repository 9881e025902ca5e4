"""
What can be served, and may not be what the operator means.

Unlike problems (`regbroker.settings.ini`), which keep a configuration from being
served, these are said by ``regbroker check`` and once when twistd starts, and nothing
else follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from regbroker.settings.config import Config, RegistryConfig, UpstreamConfig

#: A docker credential helper is a program with this before its name.
HELPER_PREFIX = "docker-credential-"


def warnings(
    config: Config, find_program: Callable[[str], str | None]
) -> Iterator[str]:
    """
    Yield them, each a line that names section and option.

    `find_program` returns the path of a program in ``PATH``, or None.
    """
    if config.certificates and not any(entry.tls for entry in config.listen):
        title = f"tls {config.certificates[0].host}".strip()
        yield (
            f"[{title}] certificate: nothing listens with TLS, so it has no "
            "effect; write for example 'listen = tls:443', or take it out"
        )
    for entry in config.registries:
        yield from _basic_and_anonymous(entry)
    for upstream in config.upstreams.values():
        yield from _token_hosts_and_realm(upstream)
        yield from _helper_not_found(upstream, find_program)


def _basic_and_anonymous(entry: RegistryConfig) -> Iterator[str]:
    # docker brings nothing to a registry that asks for Basic, unless it has logged in;
    # it does not try without.
    if entry.basic_challenge and entry.access and entry.access.anonymous_may_anything:
        yield (
            f"[registry {entry.host}] challenge: with 'challenge = basic' docker "
            "without a login says 'no basic auth credentials' and asks for nothing, "
            "whatever anonymous may do here; write 'challenge = bearer', or grant "
            "anonymous nothing"
        )


def _token_hosts_and_realm(upstream: UpstreamConfig) -> Iterator[str]:
    if upstream.realm is not None and upstream.token_hosts:
        yield (
            f"[upstream {upstream.name}] token-hosts: has no effect beside realm, "
            "which alone counts; take one of them out"
        )


def _helper_not_found(
    upstream: UpstreamConfig, find_program: Callable[[str], str | None]
) -> Iterator[str]:
    name = upstream.credential_helper
    if not name or find_program(HELPER_PREFIX + name) is not None:
        return
    short = name.removeprefix(HELPER_PREFIX)
    right = "install it there"
    if short and short != name:
        right = f"write 'credential-helper = {short}', without {HELPER_PREFIX}"
    yield (
        f"[upstream {upstream.name}] credential-helper: there is no program "
        f"{HELPER_PREFIX}{name} in PATH; {right}"
    )
