"""What is known of the running service: one object that sees every request end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import generate_latest
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regbroker.admin.adding_up import added_up, only_front, serving_families
from regbroker.admin.counting import Counting
from regbroker.admin.gauges import gauges
from regbroker.admin.others import Others
from regbroker.admin.readiness import Readiness, readiness
from regbroker.admin.refusals import RecentRefusals
from regbroker.admin.report import Circuits, Report, UpstreamFacts, together
from regbroker.admin.transfers import Transfer
from regbroker.admin.upstream_health import UpstreamHealth
from regbroker.admin.watched import Watched, WatchedUpstream
from regbroker.events import Event

_log = Logger()


class Monitor:
    """
    Counts what one service does, and tells how it is.

    `clock` is the reactor; `now` returns seconds since 1970. `is_draining` tells
    whether the service is about to stop. `watch` must have been called before anything
    is asked. With `others`, those serve clients, and this process only tells about
    them: `gather` asks them.
    """

    watched: Watched

    def __init__(
        self,
        clock: IReactorTime,
        now: Callable[[], float],
        is_draining: Callable[[], bool],
        others: Others | None = None,
    ) -> None:
        self._clock = clock
        self.now = now
        self.started = clock.seconds()
        self._is_draining = is_draining
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self.counting = Counting()
        self.refusals = RecentRefusals(now)
        self.health: dict[str, UpstreamHealth] = {}
        self.others = others
        self._reports: list[Report] = []

    def watch(self, watched: Watched) -> None:
        """
        Watch what serves from now on; called again after a reload.

        What is known of an upstream that stays is kept, and so are all counts.
        """
        self.watched = watched
        self.counting.by_repository = watched.counts_repositories
        before = self.health
        self.health = {
            name: before[name]
            if name in before and before[name].upstream is one.upstream
            else UpstreamHealth(one.upstream, self._clock, self.now)
            for name, one in watched.upstreams.items()
        }
        self.resume()

    def resume(self) -> None:
        """Hear of requests that end, from now on."""
        observers = self.watched.under_way.observers
        if self.note not in observers:
            observers.append(self.note)

    def pause(self) -> None:
        """Hear of no request any more."""
        observers = self.watched.under_way.observers
        if self.note in observers:
            observers.remove(self.note)

    def note(self, event: Event) -> None:
        """Learn from a request that is over."""
        self.counting.count(event)
        self.refusals.note(event)
        health = self.health.get(event.upstream)
        if health is not None:
            health.note(event)

    async def readiness(self) -> Readiness:
        """Return whether every registry has an upstream that answers; asks them."""
        if not self._is_draining():
            await gatherResults(
                [Deferred.fromCoroutine(one.check()) for one in self.health.values()],
                consumeErrors=True,
            )
        return self.readiness_now()

    def readiness_now(self) -> Readiness:
        """Return the same as it is known, without asking."""
        return readiness(self.watched.registries, self.health, self._is_draining())

    def seconds(self) -> float:
        """Return the time on the clock of the events, in seconds."""
        return float(self._clock.seconds())

    def refresh(self) -> None:
        """Ask those upstreams of which nothing is known, and wait for none."""
        if not self._is_draining():
            for one in self.health.values():
                asking = Deferred.fromCoroutine(one.check())
                asking.addErrback(_check_ended)

    async def gather(self) -> None:
        """Ask the other processes what they have counted."""
        if self.others is not None:
            self._reports = await self.others.reports()

    def overview(self, transfers: Sequence[Transfer]) -> Report:
        """Return what is counted by those who serve clients; `transfers` are ours."""
        if self.others is not None:
            return together(self._reports)
        return self.report(transfers)

    def report(self, transfers: Sequence[Transfer], metrics: str = "") -> Report:
        """Return what this process has counted."""
        totals, occupancy = self.counting.totals, self.watched.entrance.occupancy
        return Report(
            totals.requests,
            totals.failed,
            totals.refused_logins,
            occupancy.total,
            occupancy.limits.total,
            {name: _facts(one) for name, one in self.watched.upstreams.items()},
            transfers,
            self.refusals.latest(),
            metrics,
        )

    def families(self) -> Iterator[Family]:
        """Yield all metrics."""
        if self.others is not None:
            yield from added_up(
                [
                    *(serving_families(one.metrics) for one in self._reports),
                    self.others.ended(),
                    only_front(self._own_families()),
                ]
            )
        else:
            yield from self._own_families()

    def _own_families(self) -> Iterator[Family]:
        yield from self.counting.families()
        yield from gauges(
            self.watched, self.counting, self.health, self._is_draining(), self.now
        )
        yield from self._process.collect()

    def text(self) -> bytes:
        """Return all metrics as Prometheus reads them."""
        return generate_latest(_Families(self))


def _facts(one: WatchedUpstream) -> UpstreamFacts:
    upstream, tokens = one.upstream, one.tokens
    registry, token_service = (
        Circuits(each.state, each.limited, each.trips, each.last_failure)
        for each in (upstream.circuits, upstream.token_circuits)
    )
    return UpstreamFacts(
        registry, token_service, len(tokens), tokens.hits, tokens.misses
    )


def _check_ended(failure: Failure) -> None:
    # The upstream was closed meanwhile.
    if not failure.check(CancelledError):
        _log.failure("asking an upstream how it is", failure)


class _Families(CollectorRegistry):
    """What prometheus-client renders: families, without looking them up by names."""

    def __init__(self, monitor: Monitor) -> None:
        super().__init__(auto_describe=False)
        self._monitor = monitor

    def collect(self) -> Iterator[Family]:
        """Yield all metrics."""
        return self._monitor.families()
