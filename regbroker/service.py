"""
Assembly: a `Config` becomes a service that can be started and stopped.

This is the embedding API::

    from twisted.internet import reactor
    from regbroker.service import build_service, load_config

    service = build_service(load_config("regbroker.ini"), reactor)
    service.setServiceParent(application)

`twistd regbroker` and `regbroker serve` build their service in this way, too.
"""

from __future__ import annotations

from twisted.application.service import IService
from twisted.internet.interfaces import IReactorTCP
from twisted.logger import Logger

from regbroker.assembly.generation import AccountSources
from regbroker.assembly.loading import load_config, warnings_about
from regbroker.assembly.running import RegbrokerService
from regbroker.runtime.reactor import as_network_reactor
from regbroker.settings.config import Config
from regbroker.transport.listening.services import ListeningService
from regbroker.upstream.dialling import unused_proxies

_log = Logger()


def build_service(
    config: Config,
    reactor: IReactorTCP,
    account_sources: AccountSources | None = None,
) -> RegbrokerService:
    """
    Return the service that serves `config` on `reactor`, one of Twisted's for POSIX.

    `account_sources` has sources by the NAME of an ``[accounts NAME]`` section. They
    are asked after those of the section; the log names a section that does not exist.
    `regbroker.credchecker` makes one of any `twisted.cred` checker.

    No port is opened before it is started. What is missing in the state directory and
    wanted is made here: the self-signed certificate, and the key that signs tokens and
    seals uploads. Upstreams and accounts that no registry uses are left out. Raises
    `ConfigurationError` or `StateError`.
    """
    sources = account_sources or {}
    service = RegbrokerService(config, as_network_reactor(reactor), sources)
    unused = unused_proxies(service.config.upstreams.values())
    if unused:
        _log.warn("{unused}", unused=unused)
    for name in sorted(set(sources) - set(config.accounts)):
        _log.warn(
            "account_sources: nobody asks those of '{name}', since there is no "
            "[accounts {name}] section",
            name=name,
        )
    return service


def listeners(service: IService) -> list[ListeningService]:
    """Return the listeners of a service that `build_service` has made."""
    assert isinstance(service, RegbrokerService)
    return service.listeners


__all__ = [
    "RegbrokerService",
    "build_service",
    "listeners",
    "load_config",
    "warnings_about",
]
