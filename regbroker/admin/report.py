"""
What one process has counted, as a value that another process can be sent.

The status page shows the reports of all that serve as one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from regbroker.admin.refusals import MAX_KEPT, Refused
from regbroker.admin.transfers import Transfer
from regbroker.events import Event

_EVENT_FIELDS = (
    "client",
    "user",
    "registry",
    "method",
    "path",
    "public_name",
    "upstream",
    "endpoint",
)


@dataclass(frozen=True)
class Circuits:
    """The circuits of an upstream's registry, or of its token service."""

    state: str = "closed"
    limited: int = 0
    trips: int = 0
    last_failure: str = ""

    def and_(self, other: Circuits) -> Circuits:
        """Return both as one: the worse state, the sum of what is counted."""
        return Circuits(
            max(self.state, other.state, key=_badness),
            self.limited + other.limited,
            self.trips + other.trips,
            self.last_failure or other.last_failure,
        )


@dataclass(frozen=True)
class UpstreamFacts:
    """What one process knows of an upstream: circuits, and tokens in memory."""

    registry: Circuits = Circuits()
    token_service: Circuits = Circuits()
    tokens: int = 0
    hits: int = 0
    misses: int = 0

    def and_(self, other: UpstreamFacts) -> UpstreamFacts:
        """Return both as one."""
        return UpstreamFacts(
            self.registry.and_(other.registry),
            self.token_service.and_(other.token_service),
            self.tokens + other.tokens,
            self.hits + other.hits,
            self.misses + other.misses,
        )


@dataclass(frozen=True)
class Report:
    """
    What one process has counted, and what it does now.

    `metrics` is what Prometheus reads; it is empty where several reports are one.
    """

    requests: int = 0
    failed: int = 0
    refused_logins: int = 0
    connections: int = 0
    connections_limit: int = 0
    upstreams: Mapping[str, UpstreamFacts] = field(default_factory=dict)
    transfers: Sequence[Transfer] = ()
    refusals: Sequence[Refused] = ()
    metrics: str = ""

    def of(self, upstream: str) -> UpstreamFacts:
        """Return what is known of an upstream."""
        return self.upstreams.get(upstream, UpstreamFacts())

    def document(self) -> dict[str, Any]:
        """Return it as a document of JSON."""
        plain = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name not in ("upstreams", "transfers", "refusals")
        }
        return {
            **plain,
            "upstreams": {name: asdict(one) for name, one in self.upstreams.items()},
            "transfers": [_transfer_document(one) for one in self.transfers],
            "refusals": [asdict(one) for one in self.refusals],
        }


def parse_report(document: Mapping[str, Any]) -> Report:
    """Return the report that `Report.document` has returned."""
    values = dict(document)
    values["upstreams"] = {
        name: UpstreamFacts(
            Circuits(**one.pop("registry")), Circuits(**one.pop("token_service")), **one
        )
        for name, one in values["upstreams"].items()
    }
    values["transfers"] = [_parse_transfer(one) for one in values["transfers"]]
    values["refusals"] = [Refused(**one) for one in values["refusals"]]
    return Report(**values)


def together(reports: Iterable[Report]) -> Report:
    """Return several reports as one, the oldest transfers and latest refusals first."""
    whole = Report()
    for one in reports:
        names = {*whole.upstreams, *one.upstreams}
        whole = Report(
            whole.requests + one.requests,
            whole.failed + one.failed,
            whole.refused_logins + one.refused_logins,
            whole.connections + one.connections,
            whole.connections_limit + one.connections_limit,
            {name: whole.of(name).and_(one.of(name)) for name in names},
            [*whole.transfers, *one.transfers],
            [*whole.refusals, *one.refusals],
        )
    return Report(
        whole.requests,
        whole.failed,
        whole.refused_logins,
        whole.connections,
        whole.connections_limit,
        whole.upstreams,
        sorted(whole.transfers, key=lambda one: -one.event.seconds),
        sorted(whole.refusals, key=lambda one: -one.at)[:MAX_KEPT],
    )


def _badness(state: str) -> int:
    return ("closed", "half-open", "open").index(state)


def _transfer_document(one: Transfer) -> dict[str, Any]:
    event = {name: getattr(one.event, name) for name in _EVENT_FIELDS}
    return {
        "event": event,
        "seconds": one.event.seconds,
        "is_push": one.is_push,
        "done": one.done,
        "total": one.total,
        "rate": one.rate,
    }


def _parse_transfer(document: Mapping[str, Any]) -> Transfer:
    values = dict(document)
    # The clock of the other process is its own affair.
    event = Event(clock=time.monotonic, **values.pop("event"))
    event.started -= values.pop("seconds")
    return Transfer(event, **values)
