"""
What the ini file says and nothing makes use of.

An option without effect is one that the operator counts on in vain, so it is a
problem as any other: a password that is never used, a host that is never dialled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from regbroker.settings.config import RegistryConfig

#: Options of ``[upstream NAME]`` that make an account of regbroker's own there.
_ACCOUNT = (
    "username",
    "password-file",
    "password-env",
    "credential-helper",
    "credential-server",
)


def useless_options(
    registries: Sequence[RegistryConfig], given: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """
    Yield a problem for each option that has no effect.

    `registries` are all that there are; `given` has, by upstream, the options
    that stand in its section, whether they could be read or not.
    """
    for name, options in given.items():
        users = [entry for entry in registries if name in entry.upstreams]
        # That nobody uses the upstream at all is told elsewhere.
        if users:
            for option, text in _useless(name, options, users, given):
                yield f"[upstream {name}] {option}: {text}"
    hosts = {entry.host for entry in registries}
    for entry in registries:
        for host in entry.hosts:
            if host in hosts:
                yield (
                    f"[registry {entry.host}] hosts: {host} has a section of its own, "
                    "which serves it; take it out here"
                )
        # With accounts of regbroker's own it is another mistake.
        if entry.shared_actions and entry.accounts is None:
            lenders = [name for name in entry.upstreams if _account(given[name])]
            if not lenders:
                yield (
                    f"[registry {entry.host}] anonymous: there is no account to lend; "
                    "write username and password-file, or credential-helper, in "
                    f"[upstream {entry.upstreams[0]}]"
                )


def _useless(
    name: str,
    options: Collection[str],
    users: Sequence[RegistryConfig],
    given: Mapping[str, Collection[str]],
) -> Iterator[tuple[str, str]]:
    """Yield those of an upstream's options that have no effect, and why."""
    account = _account(options)
    if account and not any(entry.accounts or entry.shared_actions for entry in users):
        yield (
            account,
            "nobody uses it; write 'anonymous = shared' in the [registry ...] that "
            "leads here, or give that accounts of its own",
        )
    if not any(entry.redirects == "follow" for entry in users):
        for option in ("redirect-hosts", "redirect-paths"):
            if option in options:
                yield (
                    option,
                    "no [registry ...] that leads here follows redirects; write "
                    "'redirects = follow' there, or take it out",
                )
    # With several, a ping goes on to the next, whatever the rules say of names.
    if "answer-timeout" in options and all(
        len(entry.upstreams) == 1 for entry in users
    ):
        yield (
            "answer-timeout",
            "there is no other upstream to ask instead; take it out, or write timeout",
        )
    if "search-url" in options and name not in [
        _searched(entry, given) for entry in users
    ]:
        yield (
            "search-url",
            "each [registry ...] that leads here searches an upstream that comes "
            "before this one; take it out",
        )


def _searched(
    entry: RegistryConfig, given: Mapping[str, Collection[str]]
) -> str | None:
    """Return the upstream that a registry's searches go to."""
    searchable = (name for name in entry.upstreams if "search-url" in given[name])
    return next(searchable, None)


def _account(options: Collection[str]) -> str:
    """Return the first option that makes an account of our own, or ''."""
    return next((option for option in _ACCOUNT if option in options), "")
