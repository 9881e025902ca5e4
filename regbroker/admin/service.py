"""
The admin listener as a service: it listens apart from clients, and until the end.

Its connections are counted apart, too: probes are answered when clients have taken all
connections that there may be, and while regbroker drains.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.application.service import MultiService

from regbroker.admin.monitor import Monitor
from regbroker.admin.root import AdminRoot, probes
from regbroker.admin.status import status_views
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.entrance import build_entrance
from regbroker.transport.listeners import Listener
from regbroker.transport.listening import ListeningService
from regbroker.transport.server import DEFAULT_PACE, StreamingSite

#: Some browsers, some probes, one Prometheus or two.
MAX_CONNECTIONS = 64


class AdminService(MultiService):
    """
    Serves what `monitor` knows on some listeners.

    `root` is the `twisted.web` resource that answers, for a site of one's own.
    """

    def __init__(
        self,
        monitor: Monitor,
        listeners: Iterable[Listener],
        reactor: INetworkReactor,
    ) -> None:
        super().__init__()
        self.setName("admin")
        self.monitor = monitor
        self.root = AdminRoot({**status_views(monitor), **probes(monitor)})
        self._entrance = build_entrance(
            reactor, (), DEFAULT_PACE.silence, MAX_CONNECTIONS, MAX_CONNECTIONS
        )
        site = StreamingSite(self.root, DEFAULT_PACE, reactor)
        for listener in listeners:
            ListeningService(
                reactor,
                listener,
                site,
                None,
                entrance=self._entrance,
                option="admin-listen",
            ).setServiceParent(self)

    @property
    def urls(self) -> list[str]:
        """Where its listeners can be reached from this machine."""
        return [
            child.url
            for child in self
            if isinstance(child, ListeningService) and child.port is not None
        ]

    def stopService(self) -> Any:
        """Stop listening, and close the connections; fires when they are closed."""
        self._entrance.stop()
        return super().stopService()
