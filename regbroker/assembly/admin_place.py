"""
The place of the admin listener in a service, which may have none.

Apart from the listener itself and what it shows (`regbroker.assembly.admin`): both take
long to load.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.application.service import MultiService
from twisted.logger import Logger

from regbroker.assembly.part import Part
from regbroker.runtime.reactor import INetworkReactor
from regbroker.settings.config import Config

if TYPE_CHECKING:
    # Imported where they are built: not every configuration needs them.
    from regbroker.admin.service import AdminService
    from regbroker.admin.watched import Watched

_log = Logger()


@dataclass(frozen=True)
class PreparedAdmin:
    """Admin listeners that are open: one of the two is to be called."""

    commit: Callable[[], object]
    abort: Callable[[], object]


class AdminPlace:
    """
    The admin listener of `service`, where a configuration has one.

    It tells about what `watch` returns, and with `part`, about other processes, too.
    """

    def __init__(
        self,
        parent: MultiService,
        reactor: INetworkReactor,
        is_draining: Callable[[], bool],
        part: Part,
        watch: Callable[[], Watched],
    ) -> None:
        self.service: AdminService | None = None
        self._parent = parent
        self._reactor = reactor
        self._is_draining = is_draining
        self._part = part
        self._watch = watch

    def open(self, config: Config) -> None:
        """Have the listeners of a configuration; raises `StateError`."""
        if not config.admin_listen:
            return
        from regbroker.assembly.admin import build_admin

        self.service = build_admin(config, self._reactor, self._is_draining, self._part)
        assert self.service is not None
        self.tell()
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
        prepared = self.service.listening.prepare(self._part.admin_listen(config))
        return PreparedAdmin(prepared.commit, prepared.abort)

    def tell(self) -> None:
        """Tell from now on about what serves at this moment."""
        if self.service is not None:
            self.service.monitor.watch(self._watch())

    def _leave(self) -> None:
        service, self.service = self.service, None
        # When everything is stopped, it has been left already.
        if service is not None and service.parent is not None:
            service.disownServiceParent()


def _nothing() -> None:
    pass
