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

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.ssl import CertificateOptions
from twisted.web.resource import IResource

from regbroker.accounts.principals import AccountSource
from regbroker.admin.service import AdminService
from regbroker.assembly.admin import build_admin, watched
from regbroker.assembly.loading import load_config, warnings_about
from regbroker.assembly.local_accounts import LocalParts
from regbroker.assembly.problems import certificate_hosts
from regbroker.assembly.registries import build_registry
from regbroker.assembly.seal import build_seal
from regbroker.assembly.upstreams import UpstreamService, build_upstream
from regbroker.runtime.reactor import INetworkReactor
from regbroker.settings.config import Config
from regbroker.transport.certificates import load_certificates
from regbroker.transport.entrance import Entrance, build_entrance
from regbroker.transport.listening import ListeningService
from regbroker.transport.self_signed import self_signed
from regbroker.transport.server import StreamingSite
from regbroker.web.health import Health
from regbroker.web.serving import UnderWay
from regbroker.web.site import VirtualHosts


class RegbrokerService(MultiService):
    """
    Everything that one `Config` asks for.

    `root` is the `twisted.web` resource that serves it, for a site of one's
    own; it works while this service runs.
    """

    root: IResource

    #: The requests that are being answered; those through another site, too.
    under_way: UnderWay
    entrance: Entrance | None = None

    #: Whether regbroker is about to stop: balancers and probes are told to send new
    #: clients elsewhere.
    draining = False

    #: What the admin listener answers, if there is one.
    admin: AdminService | None = None

    def stopService(self) -> Any:
        """End what is being answered, then everything else; fires when it is over."""
        # The services would take the upstreams away from under the requests, which
        # would seem to be the upstreams' doing.
        self.under_way.stop()
        if self.entrance is not None:
            self.entrance.stop()
        return super().stopService()


def build_service(
    config: Config,
    reactor: INetworkReactor,
    account_sources: Mapping[str, Sequence[AccountSource]] | None = None,
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
    config = config.in_use()
    service = RegbrokerService()
    upstreams = {
        name: build_upstream(entry, config, reactor)
        for name, entry in config.upstreams.items()
    }
    for upstream in upstreams.values():
        upstream.setServiceParent(service)
    local = None
    if config.accounts:
        local = LocalParts(config, reactor, account_sources or {})
        local.setServiceParent(service)
    health = None
    if config.health_path:
        health = Health(config.health_path, lambda: service.draining)
    root = _build_root(config, upstreams, local, reactor, health)
    service.root, service.under_way = root, root.under_way
    site = StreamingSite(service.root, config.pace, reactor)
    service.entrance = entrance = build_entrance(
        reactor,
        config.trusted_proxies,
        config.pace.silence,
        config.max_connections,
        config.max_connections_per_address,
    )
    options = None
    if any(listener.tls for listener in config.listen):
        options = _server_options(config)
    for listener in config.listen:
        ListeningService(
            reactor, listener, site, options, config.trusted_proxies, entrance
        ).setServiceParent(service)
    service.admin = build_admin(config, reactor, lambda: service.draining)
    if service.admin is not None:
        service.admin.monitor.watch(
            watched(config, upstreams, root.under_way, entrance, site)
        )
        service.admin.setServiceParent(service)
    return service


def _build_root(
    config: Config,
    upstreams: Mapping[str, UpstreamService],
    local: LocalParts | None,
    reactor: INetworkReactor,
    health: Health | None,
) -> VirtualHosts:
    seal = build_seal(config, reactor)
    registries = [
        build_registry(entry, upstreams, local, reactor, seal)
        for entry in config.registries
    ]
    return VirtualHosts(
        registries,
        config.trusted_proxies,
        config.denied_user_agents,
        reactor,
        config.mirrors,
        health,
    )


def _server_options(config: Config) -> CertificateOptions:
    if config.certificates:
        return load_certificates(config.certificates, None)
    pair = self_signed(Path(config.state_directory), certificate_hosts(config))
    return load_certificates((), pair)


def listeners(service: IService) -> list[ListeningService]:
    """Return the listeners of a service that `build_service` has made."""
    assert isinstance(service, MultiService)
    return [child for child in service if isinstance(child, ListeningService)]


__all__ = [
    "RegbrokerService",
    "build_service",
    "listeners",
    "load_config",
    "warnings_about",
]
