"""
What is counted as requests end, by their events: numbers, until somebody asks.

Each service counts for itself, so that several in one process do not count each
other's. Labels are few by design, so what is kept is small.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import Metric as Family

from regbroker.admin.families import Histogram, Labels, family
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


class Counting:
    """
    Counts requests by their events.

    With `by_repository`, those of each repository, too, from then on.
    """

    def __init__(self, by_repository: bool = False) -> None:
        self.by_repository = by_repository
        self._requests: Tally[Labels] = Tally()
        self._seconds = Histogram(REQUEST_BUCKETS)
        self._logins: Tally[Labels] = Tally()
        self._identity_logins: Tally[Labels] = Tally()
        self._refused: Tally[Labels] = Tally()
        self._proxied: Tally[Labels] = Tally()
        self._upstream_seconds = Histogram(UPSTREAM_BUCKETS)
        self._repositories: Tally[Labels] = Tally()
        self._known_repositories: set[tuple[str, str]] = set()
        self.totals = Totals()
        #: Bytes of the requests that are over, by registry and endpoint.
        self.bytes_in: Tally[tuple[str, str]] = Tally()
        self.bytes_out: Tally[tuple[str, str]] = Tally()

    def count(self, event: Event) -> None:
        """Count a request that is over."""
        registry, endpoint = registry_of(event), endpoint_of(event)
        self.totals.requests += 1
        self.totals.failed += event.status >= 500
        method = event.method if event.method in _METHODS else "other"
        self._requests[registry, endpoint, method, str(event.status)] += 1
        self._seconds.observe((endpoint,), event.seconds)
        self.bytes_in[registry, endpoint] += event.bytes_in
        self.bytes_out[registry, endpoint] += event.bytes_out
        if event.upstream_seconds is not None:
            upstream = upstream_of(event)
            self._proxied[upstream, endpoint, event.cause.word] += 1
            self._upstream_seconds.observe((upstream, endpoint), event.upstream_seconds)
        if event.credentials == "password":
            outcome = login_outcome(event)
            self._logins[registry, outcome] += 1
            self.totals.refused_logins += outcome in ("refused", "limited")
        elif event.credentials == "identity":
            identity = event.identity or "none"
            self._identity_logins[registry, identity, login_outcome(event)] += 1
        if is_refusal(event):
            self._refused[registry, event.code] += 1
        if self.by_repository:
            self._count_repository(event, registry)

    def _count_repository(self, event: Event, registry: str) -> None:
        action = _ACTIONS.get((event.endpoint, event.method))
        # Only where something was found: a client may ask for any name.
        if action is None or not event.public_name or not 200 <= event.status < 400:
            return
        name = event.public_name
        if (registry, name) not in self._known_repositories:
            if len(self._known_repositories) >= MAX_REPOSITORIES:
                name = OTHER_REPOSITORIES
            else:
                self._known_repositories.add((registry, name))
        self._repositories[registry, name, action] += 1

    def families(self) -> Iterator[Family]:
        """Yield what was counted, as families of Prometheus."""
        yield family(REQUESTS, self._requests.items())
        yield self._seconds.family(REQUEST_SECONDS)
        yield family(LOGINS, self._logins.items())
        yield family(IDENTITY_LOGINS, self._identity_logins.items())
        yield family(REFUSED, self._refused.items())
        yield family(PROXIED, self._proxied.items())
        yield self._upstream_seconds.family(UPSTREAM_SECONDS)
        yield family(REPOSITORY_REQUESTS, self._repositories.items())


#: What is the client's doing, and no answer to what it has asked.
_REFUSING = frozenset({400, 403, 405, 408, 413, 421, 429, 431})


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
