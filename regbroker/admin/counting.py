"""
What is counted as requests end: counters and histograms, fed by their events.

Each service has a registry of its own (`prometheus_client.CollectorRegistry`), so that
several in one process do not count each other's. Looking up a metric by its labels
costs more than counting, so what was looked up is kept: labels are few by design.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric as Family

from regbroker.admin.metric_table import (
    IDENTITY_LOGINS,
    LOGINS,
    PROXIED,
    REFUSED,
    REPOSITORY_REQUESTS,
    REQUEST_BUCKETS,
    REQUEST_SECONDS,
    REQUESTS,
    UPSTREAM_BUCKETS,
    UPSTREAM_SECONDS,
    Metric,
)
from regbroker.audit import login_outcome
from regbroker.events import Event
from regbroker.protocol.names import METHODS

#: Others are a client's own words.
_METHODS = frozenset({m for methods in METHODS.values() for m in methods} | {"OPTIONS"})

#: A registry of many thousand repositories would fill the memory of Prometheus.
MAX_REPOSITORIES = 5000

#: What stands for repositories beyond that.
OTHER_REPOSITORIES = "(others)"

#: Endpoints of the API that are about a repository's contents.
_ACTIONS = {
    ("manifest", "GET"): "pull",
    ("manifest", "PUT"): "push",
    ("manifest", "DELETE"): "delete",
    ("blob", "GET"): "pull",
    ("blob", "DELETE"): "delete",
    ("upload", "PUT"): "push",
    ("uploads", "POST"): "push",
}


def registry_of(event: Event) -> str:
    """Return the label of the registry that a request was for."""
    return event.section or "none"


def endpoint_of(event: Event) -> str:
    """Return the label of a request's endpoint."""
    return event.endpoint or "other"


def upstream_of(event: Event) -> str:
    """Return the label of the upstream that was asked."""
    return "several" if "," in event.upstream else event.upstream


@dataclass
class Totals:
    """Some sums for people: all requests, those with 5xx, passwords that were wrong."""

    requests: int = 0
    failed: int = 0
    refused_logins: int = 0


class _Series(NamedTuple):
    """What counts the requests that have all labels in common."""

    requests: Any
    seconds: Any
    #: None for requests that no upstream was asked about.
    proxied: Any
    upstream_seconds: Any


class Counting:
    """
    Counts requests by their events.

    With `by_repository`, those of each repository, too, from then on.
    """

    def __init__(self, by_repository: bool = False) -> None:
        self.by_repository = by_repository
        self._registry = CollectorRegistry()
        self._requests = self._counter(REQUESTS)
        self._seconds = self._histogram(REQUEST_SECONDS, REQUEST_BUCKETS)
        self._logins = self._counter(LOGINS)
        self._identity_logins = self._counter(IDENTITY_LOGINS)
        self._refused = self._counter(REFUSED)
        self._proxied = self._counter(PROXIED)
        self._upstream_seconds = self._histogram(UPSTREAM_SECONDS, UPSTREAM_BUCKETS)
        self._repositories = self._counter(REPOSITORY_REQUESTS)
        self._known_repositories: set[tuple[str, str]] = set()
        self._kept: dict[Hashable, Any] = {}
        self.totals = Totals()
        #: Bytes of the requests that are over, by registry and endpoint.
        self.bytes_in: Tally[tuple[str, str]] = Tally()
        self.bytes_out: Tally[tuple[str, str]] = Tally()

    def _counter(self, metric: Metric) -> Counter:
        return Counter(
            metric.name, metric.meaning, metric.labels, registry=self._registry
        )

    def _histogram(self, metric: Metric, buckets: Iterable[float]) -> Histogram:
        return Histogram(
            metric.name,
            metric.meaning,
            metric.labels,
            registry=self._registry,
            buckets=tuple(buckets),
        )

    def _of(self, metric: Any, *labels: str) -> Any:
        key = (metric, labels)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = metric.labels(*labels)
        return kept

    def _series(self, event: Event, registry: str, endpoint: str) -> _Series:
        """Return what counts requests like this one, found by one key."""
        method = event.method if event.method in _METHODS else "other"
        is_proxied = event.upstream_seconds is not None
        upstream = upstream_of(event) if is_proxied else ""
        key = registry, endpoint, method, event.status, upstream, event.cause
        kept = self._kept.get(key)
        if kept is None:
            about = upstream, endpoint
            kept = self._kept[key] = _Series(
                self._of(self._requests, registry, endpoint, method, str(event.status)),
                self._of(self._seconds, endpoint),
                self._of(self._proxied, *about, event.cause.value)
                if is_proxied
                else None,
                self._of(self._upstream_seconds, *about) if is_proxied else None,
            )
        series: _Series = kept
        return series

    def count(self, event: Event) -> None:
        """Count a request that is over."""
        registry, endpoint = registry_of(event), endpoint_of(event)
        self.totals.requests += 1
        self.totals.failed += event.status >= 500
        series = self._series(event, registry, endpoint)
        series.requests.inc()
        series.seconds.observe(event.seconds)
        self.bytes_in[registry, endpoint] += event.bytes_in
        self.bytes_out[registry, endpoint] += event.bytes_out
        if event.upstream_seconds is not None:
            series.proxied.inc()
            series.upstream_seconds.observe(event.upstream_seconds)
        if event.credentials == "password":
            outcome = login_outcome(event)
            self._of(self._logins, registry, outcome).inc()
            self.totals.refused_logins += outcome in ("refused", "limited")
        elif event.credentials == "identity":
            identity = event.identity or "none"
            outcome = login_outcome(event)
            self._of(self._identity_logins, registry, identity, outcome).inc()
        if is_refusal(event):
            self._of(self._refused, registry, event.code).inc()
        if self.by_repository:
            self._count_repository(event, registry)

    def _count_repository(self, event: Event, registry: str) -> None:
        action = _ACTIONS.get((event.endpoint, event.method))
        # Only where something was found: a client may ask for any name.
        if action is None or not event.public_name or not 200 <= event.status < 400:
            return
        repository = (registry, event.public_name)
        if repository not in self._known_repositories:
            if len(self._known_repositories) >= MAX_REPOSITORIES:
                repository = (registry, OTHER_REPOSITORIES)
            else:
                self._known_repositories.add(repository)
        self._of(self._repositories, *repository, action).inc()

    def families(self) -> Iterator[Family]:
        """Yield what was counted, as families of Prometheus."""
        for family in self._registry.collect():
            # When a series began is of no use where no series ends.
            family.samples = [
                sample
                for sample in family.samples
                if not sample.name.endswith("_created")
            ]
            yield family


#: What is the client's doing, and no answer to what it has asked.
_REFUSING = frozenset({400, 401, 403, 405, 408, 413, 421, 429, 431})


def is_refusal(event: Event) -> bool:
    """Tell whether a request was refused: more than that something is not there."""
    if not event.code:
        return False
    if event.status == 401:
        # Without credentials, it tells the client where to get them.
        return bool(event.credentials)
    if event.status == 404:
        # That an upstream lacks a layer is what a push begins with.
        return event.upstream_seconds is None
    return event.status in _REFUSING
