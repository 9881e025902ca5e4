"""Assembly of the admin listener, and of what it shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from regbroker.admin.certificates import ServedCertificate, served_certificate
from regbroker.admin.monitor import Monitor
from regbroker.admin.service import AdminService
from regbroker.admin.watched import Watched, WatchedUpstream
from regbroker.assembly.part import Part
from regbroker.assembly.upstreams import UpstreamService
from regbroker.runtime.reactor import INetworkReactor
from regbroker.settings.config import Config
from regbroker.transport.certificates.served import read_pem
from regbroker.transport.listening.entrance import Entrance
from regbroker.transport.server.site import StreamingSite
from regbroker.web.serving import UnderWay

if TYPE_CHECKING:
    # Imported where they are built: not every configuration needs them.
    from regbroker.assembly.identities import IssuerKeysService


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
    return AdminService(monitor, part.admin_listen(config), reactor)


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
