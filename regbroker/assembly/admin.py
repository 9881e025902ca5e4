"""Assembly of the admin listener, and of what it shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from twisted.application.service import MultiService
from twisted.logger import Logger

from regbroker.admin.certificates import ServedCertificate, served_certificate
from regbroker.admin.monitor import Monitor
from regbroker.admin.service import AdminService
from regbroker.admin.watched import Watched, WatchedUpstream
from regbroker.assembly.identities import IssuerKeysService
from regbroker.assembly.part import Part
from regbroker.assembly.upstreams import UpstreamService
from regbroker.runtime.reactor import INetworkReactor
from regbroker.settings.config import Config
from regbroker.transport.certificates import read_pem
from regbroker.transport.entrance import Entrance
from regbroker.transport.listeners import Listener
from regbroker.transport.server import StreamingSite
from regbroker.web.serving import UnderWay

_log = Logger()


def build_admin(
    config: Config,
    reactor: INetworkReactor,
    is_draining: Callable[[], bool],
    part: Part | None = None,
) -> AdminService | None:
    """
    Return the admin listener; None where the configuration has none.

    It tells about what `AdminService.monitor` watches, and about other processes of
    which `part` knows. That of a worker counts, and listens nowhere.
    """
    if not config.admin_listen:
        return None
    part = part or Part()
    monitor = Monitor(reactor, time.time, is_draining, part.others)
    return AdminService(monitor, _lines(config, part), reactor)


def _lines(config: Config, part: Part) -> Iterable[Listener]:
    return () if part.is_worker else config.admin_listen


@dataclass(frozen=True)
class PreparedAdmin:
    """Admin listeners that are open: one of the two is to be called."""

    commit: Callable[[], object]
    abort: Callable[[], object]


class AdminPlace:
    """
    The admin listener of `service`, where a configuration has one.

    It tells about what `tell` was given last; with `part`, about other processes, too.
    """

    def __init__(
        self,
        parent: MultiService,
        reactor: INetworkReactor,
        is_draining: Callable[[], bool],
        part: Part,
    ) -> None:
        self.service: AdminService | None = None
        self._parent = parent
        self._reactor = reactor
        self._is_draining = is_draining
        self._part = part
        self._watched: Watched | None = None

    def open(self, config: Config) -> None:
        """Have the listeners of a configuration; raises `StateError`."""
        self.service = build_admin(config, self._reactor, self._is_draining, self._part)
        if self.service is None:
            return
        if self._watched is not None:
            self.service.monitor.watch(self._watched)
        try:
            self.service.setServiceParent(self._parent)
        except Exception:
            self._leave()
            raise

    def prepare(self, config: Config, before: Config) -> PreparedAdmin:
        """Open what is new of the listeners; raises `StateError`."""
        if self.service is None:
            self.open(config)
            return PreparedAdmin(_nothing, self._leave)
        if not config.admin_listen:
            return PreparedAdmin(self._leave, _nothing)
        if config.metrics_repositories != before.metrics_repositories:
            # What is counted already would not fit.
            _log.warn("[regbroker] metrics-repositories: needs a restart")
        prepared = self.service.listening.prepare(_lines(config, self._part))
        return PreparedAdmin(prepared.commit, prepared.abort)

    def tell(self, watched: Watched) -> None:
        """Tell about this from now on."""
        self._watched = watched
        if self.service is not None:
            self.service.monitor.watch(watched)

    def _leave(self) -> None:
        service, self.service = self.service, None
        # When everything is stopped, it has been left already.
        if service is not None and service.parent is not None:
            service.disownServiceParent()


def _nothing() -> None:
    pass


def watched(
    config: Config,
    upstreams: Mapping[str, UpstreamService],
    under_way: UnderWay,
    entrance: Entrance,
    site: StreamingSite,
    issuer_keys: Mapping[str, IssuerKeysService],
) -> Watched:
    """Return what serves `config`, for the admin listener to tell about."""
    return Watched(
        config.registries,
        {
            name: WatchedUpstream(service.upstream, service.tokens.cache)
            for name, service in upstreams.items()
        },
        under_way,
        entrance,
        site,
        tuple(_certificates(config)),
        config.metrics_repositories,
        {name: partial(_is_fresh, each) for name, each in issuer_keys.items()},
    )


def _is_fresh(issuer_keys: IssuerKeysService) -> bool:
    """Tell whether an issuer has given its keys when it was last asked."""
    return issuer_keys.keys.keys is not None and not issuer_keys.keys.problem


def _certificates(config: Config) -> Iterator[ServedCertificate]:
    """Yield the certificates that the listeners have read a moment ago."""
    files = {
        f"tls {entry.host}".strip(): Path(entry.certificate)
        for entry in config.certificates
    }
    if not any(listener.tls for listener in config.listen):
        files = {}
    elif not files:
        files = {"self-signed": Path(config.state_directory) / "self-signed.pem"}
    for section, path in files.items():
        try:
            yield served_certificate(section, read_pem(path))
        except (OSError, ValueError):
            # It was there when it was loaded; whoever replaces it is not done yet.
            continue
