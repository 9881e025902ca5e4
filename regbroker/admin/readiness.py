"""Whether a service is ready for clients, and if not, which registry is in the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from regbroker.admin.upstream_health import UpstreamHealth
from regbroker.settings.config import RegistryConfig


@dataclass(frozen=True)
class UpstreamState:
    """Whether an upstream answers; `problem` says what went wrong last."""

    answers: bool
    problem: str


@dataclass(frozen=True)
class Readiness:
    """
    The state of each registry's upstreams.

    A registry is ready while one of its upstreams answers, and the service while every
    registry is and it is not `draining`.
    """

    draining: bool
    registries: Mapping[str, Mapping[str, UpstreamState]]

    def is_registry_ready(self, host: str) -> bool:
        """Tell whether an upstream of a registry answers."""
        return any(one.answers for one in self.registries[host].values())

    @property
    def is_ready(self) -> bool:
        """Whether new clients should be sent here."""
        return not self.draining and all(map(self.is_registry_ready, self.registries))

    def document(self) -> dict[str, Any]:
        """Return what ``/ready`` answers."""
        return {
            "ready": self.is_ready,
            "draining": self.draining,
            "registries": {
                host: {
                    "ready": self.is_registry_ready(host),
                    "upstreams": {
                        name: {"answers": True}
                        if one.answers
                        else {"answers": False, "problem": one.problem}
                        for name, one in upstreams.items()
                    },
                }
                for host, upstreams in self.registries.items()
            },
        }


def readiness(
    registries: Iterable[RegistryConfig],
    health: Mapping[str, UpstreamHealth],
    draining: bool,
) -> Readiness:
    """Return how ready a service with these registries is."""
    return Readiness(
        draining,
        {
            entry.host: {
                name: UpstreamState(
                    health[name].answers,
                    health[name].last_error or "it has not answered yet",
                )
                for name in entry.upstreams
            }
            for entry in registries
        },
    )
