"""
Assembly: a `Config` becomes a service that can be started and stopped.

This is the embedding API::

    from twisted.internet import reactor
    from regbroker.service import build_service, load_config

    service = build_service(load_config("regbroker.ini"), reactor)
    service.setServiceParent(application)

`twistd regbroker` does the same and nothing else.
"""

from __future__ import annotations

from twisted.application.service import IService
from twisted.logger import Logger

from regbroker.assembly.generation import AccountSources
from regbroker.assembly.loading import load_config, warnings_about
from regbroker.assembly.running import RegbrokerService
from regbroker.runtime.reactor import INetworkReactor
from regbroker.settings.config import Config
from regbroker.transport.listening.services import ListeningService
from regbroker.upstream.dialling import unused_proxies

_log = Logger()


def build_service(
    config: Config,
    reactor: INetworkReactor,
    account_sources: AccountSources | None = None,
) -> RegbrokerService:
    """
    Return the service that serves `config` on `reactor`.

    `account_sources` are asked after those that an ``[accounts NAME]`` section
    has, by its name: `regbroker.credchecker` makes one of any `twisted.cred`
    checker.

    Nothing is opened before it is started, but the self-signed certificate is
    made. Upstreams and accounts that no registry uses are left out. Raises
    `ConfigurationError` or `StateError`.
    """
    service = RegbrokerService(config, reactor, account_sources or {})
    unused = unused_proxies(service.config.upstreams.values())
    if unused:
        _log.warn("{unused}", unused=unused)
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
