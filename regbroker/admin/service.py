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
from regbroker.transport.listening.entrance import build_entrance
from regbroker.transport.listening.listener_group import ListenerGroup
from regbroker.transport.listening.listeners import Listener
from regbroker.transport.server.site import DEFAULT_PACE, StreamingSite

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
        self.root = AdminRoot(probes(monitor), status_views(monitor))
        self._entrance = build_entrance(
            reactor, (), DEFAULT_PACE.silence, MAX_CONNECTIONS, MAX_CONNECTIONS
        )
        site = StreamingSite(self.root, DEFAULT_PACE, reactor)
        self.listening = ListenerGroup(reactor, site, self._entrance, "admin-listen")
        self.listening.prepare(listeners).commit()
        self.listening.setServiceParent(self)

    @property
    def urls(self) -> list[str]:
        """Where its listeners can be reached from this machine."""
        listeners = self.listening.listeners
        return [each.url for each in listeners if each.port is not None]

    def startService(self) -> None:
        """Count, and answer."""
        self.monitor.resume()
        super().startService()

    def stopService(self) -> Any:
        """Stop listening, and close the connections; fires when they are closed."""
        self.monitor.pause()
        self._entrance.stop()
        return super().stopService()
