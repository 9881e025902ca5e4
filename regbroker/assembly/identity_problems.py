"""
What is wrong with identities beyond their sections: files, proxies, conditions.

A module of its own, since `regbroker check` does not load what fetches keys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import product
from pathlib import Path, PurePath

from regbroker.accounts.identity.keys import MAX_BYTES, parse_key_set
from regbroker.assembly.named_conditions import named_conditions
from regbroker.errors import ConfigurationError
from regbroker.runtime.watched_file import parse_file
from regbroker.settings.config import (
    Config,
    HtpasswdConfig,
    LdapConfig,
    RobotsConfig,
)
from regbroker.transport.client.trust import Trust
from regbroker.upstream.dialling import problems_with_proxy


def _imitations(config: Config) -> Iterator[str]:
    """Yield users with a password whose names only an issuer may give."""
    for registry in config.registries:
        # A section that cannot be read is missing, and what is wrong has been said.
        identities = [
            config.identities[name]
            for name in registry.identities
            if name in config.identities
        ]
        accounts = config.accounts.get(registry.accounts or "")
        if accounts is None or not identities:
            continue
        for source in accounts.sources:
            where, users = _users_of(source)
            yield from (
                f"[accounts {accounts.name}] {where}: '{user}' could be somebody of "
                f"[identity {identity.name}], whose users are {identity.user}; rename "
                "the user, or change 'user' there"
                for user, identity in product(users, identities)
                if identity.user.may_make(user)
            )


def _users_of(
    source: HtpasswdConfig | LdapConfig | RobotsConfig,
) -> tuple[str, Collection[str]]:
    """Return the option of a source, and its users as far as files tell."""
    if isinstance(source, RobotsConfig):
        return "robots", source.users
    if isinstance(source, LdapConfig):
        # They are looked at when they log in.
        return "ldap", ()
    # What knows the hashes takes long to load.
    from regbroker.accounts.htpasswd_file import parse, read

    try:
        return f"htpasswd: {source.path}", parse(read(Path(source.path))).hashes
    except (OSError, ValueError):
        # That it cannot be read has been said already.
        return "htpasswd", ()


def problems_with_identities(config: Config) -> Iterator[str]:
    """Say what is wrong with files, proxies, users and conditions; starts nothing."""
    yield from dict.fromkeys(_imitations(config))
    for name, entry in config.identities.items():
        title = f"[identity {name}]"
        try:
            named_conditions(entry)
        except ConfigurationError as error:
            yield from error.problems
        if isinstance(entry.jwks, PurePath):
            try:
                parse_file(Path(entry.jwks), parse_key_set, max_bytes=MAX_BYTES)
            except ValueError as error:
                yield f"{title} jwks: {error}"
            continue
        for problem in problems_with_proxy(entry):
            yield f"{title} {problem}"
        try:
            Trust(Path(entry.ca_file) if entry.ca_file else None)
        except OSError:
            # That the file cannot be read has been said already.
            pass
        except ValueError as error:
            yield f"{title} ca-file: {entry.ca_file} holds no certificate: {error}"
