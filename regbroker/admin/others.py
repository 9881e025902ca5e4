"""The other processes that serve, for a process that tells about all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from regbroker.admin.report import Report

if TYPE_CHECKING:
    # Workers are others where nothing is counted, too.
    from prometheus_client.core import Metric as Family


class Others(ABC):
    """The processes that serve clients."""

    @abstractmethod
    async def reports(self) -> list[Report]:
        """Return the reports of those that answer in time."""

    @abstractmethod
    def ended(self) -> list[Family]:
        """Return what those have counted that have ended."""

    @property
    @abstractmethod
    def states(self) -> dict[str, str]:
        """Their states by their names: ``serving``, or why it does not."""

    @property
    def is_serving(self) -> bool:
        """Whether clients are served."""
        return "serving" in self.states.values()
