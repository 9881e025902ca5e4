"""
Families of metrics, as prometheus-client renders them: made when somebody asks.

What is counted until then are numbers by their labels. prometheus-client has counters
of its own, which threads may share: they cost each request more.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import Metric as Family

from regbroker.admin.metric_table import Kind, Metric

#: Values of a metric's labels, in their order.
Labels = tuple[str, ...]

Samples = Iterable[tuple[Labels, float]]


def family(metric: Metric, samples: Samples) -> Family:
    """Return a counter or a gauge with these values, each by its labels."""
    make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    made = make(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in samples:
        made.add_metric(labels, value)
    return made


class Histogram:
    """How many amounts were up to each of some bounds, which go up, and their sum."""

    def __init__(self, bounds: Iterable[float]) -> None:
        self._bounds = tuple(bounds)
        #: For each bound, and last for what is above them, the amounts up to it that
        #: are above the bound before.
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, labels: Labels, amount: float) -> None:
        """Count an amount."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(self._bounds, amount)] += 1
        self._sums[labels] += amount

    def family(self, metric: Metric) -> Family:
        """Return what was counted, in the words of Prometheus."""
        made = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for labels, counts in self._counts.items():
            buckets = list(zip(names, accumulate(counts), strict=True))
            made.add_metric(labels, buckets, self._sums[labels])
        return made
