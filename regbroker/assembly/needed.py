"""
What a configuration needs of that which not every configuration needs.

Python imports slower than regbroker starts. So what stands here is imported by the
function that builds it, or asks with it, and nowhere else. Who has to have it before
that time learns here what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from twisted.internet.interfaces import IReactorTime

from regbroker.settings.config import Config, HtpasswdConfig, LdapConfig

#: Seconds of a new service until it imports what it has not needed yet, one module at a
#: time. The first requests are not to wait for that, nor those that need it. Later,
#: an update of the installed packages could have put other modules there.
LEISURE_SECONDS = 2.0


def needed(config: Config) -> list[str]:
    """
    Return the modules that serving `config` imports besides those of all services.

    What they import themselves is not listed.
    """
    return sorted(set(_needed(config.in_use())))


def _needed(config: Config) -> Iterator[str]:
    # Which token service an upstream has, its answers say; few have none.
    yield "regbroker.upstream.document_requests"
    if config.admin_listen:
        yield "regbroker.assembly.admin"
    for upstream in config.upstreams.values():
        if upstream.origin is None:
            yield "regbroker.sandbox"
        if upstream.proxy is not None:
            yield "regbroker.transport.client.tunnel"
    if any(entry.accounts == "" for entry in config.registries) or config.accounts:
        yield "regbroker.assembly.local_accounts"
    for accounts in config.accounts.values():
        for source in accounts.sources:
            if isinstance(source, HtpasswdConfig):
                yield "regbroker.accounts.htpasswd"
            elif isinstance(source, LdapConfig):
                yield "regbroker.accounts.ldap.source"
    for identity in config.identities.values():
        yield "regbroker.assembly.identities"
        if identity.conditions:
            yield "regbroker.accounts.identity.cel"
        if identity.proxy is not None:
            yield "regbroker.transport.client.tunnel"


def load_at_leisure(config: Config, clock: IReactorTime) -> None:
    """Import what `config` needs, when the first clients have their answers."""
    for count, name in enumerate(needed(config), 1):
        clock.callLater(count * LEISURE_SECONDS, import_module, name)
