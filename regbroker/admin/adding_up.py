"""
The metrics of several processes as those of one.

A process that serves beside others hands over its families, as values or as the text
that Prometheus reads (`prometheus_client.parser.text_string_to_metric_families`). The
table says how values of the same labels go together: counters, histograms and most
gauges are sums; of an end, the nearest counts. Here instead of prometheus-client's own
way for several processes: that one keeps a file per process, knows no values that are
read when somebody asks, and is switched on for the whole process.

Some metrics are those of the process in front alone: it asks the upstreams how they
are, and it is the one that drains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import add

from prometheus_client.core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from regbroker.admin.metric_table import (
    CERTIFICATE_EXPIRY,
    DRAINING,
    METRICS,
    UPSTREAM_UP,
    Together,
)

_WAYS: dict[Together, Callable[[float, float], float]] = {
    Together.SUM: add,
    Together.LOWEST: min,
    Together.HIGHEST: max,
}

#: Metrics by the name of their family: that of a counter has no ending.
_BY_FAMILY = {metric.name.removesuffix("_total"): metric for metric in METRICS}

_Key = tuple[str, tuple[tuple[str, str], ...]]


#: What the process in front says alone.
_FRONT = {metric.name for metric in (UPSTREAM_UP, CERTIFICATE_EXPIRY, DRAINING)}

#: Metrics of a process, as prometheus-client has them.
_PROCESS = "process_"


def _together(family: str) -> Together:
    metric = _BY_FAMILY.get(family)
    if metric is not None:
        return metric.together
    # Of starts, the first one counts.
    return Together.LOWEST if family.endswith("_start_time_seconds") else Together.SUM


def serving_families(text: str) -> Iterator[Family]:
    """Yield the families of a process that serves, from what Prometheus reads."""
    for family in text_string_to_metric_families(text):
        if family.name not in _FRONT:
            yield family


def only_front(families: Iterable[Family]) -> Iterator[Family]:
    """Yield those of the process in front that others do not tell of."""
    for family in families:
        if family.name in _FRONT or family.name.startswith(_PROCESS):
            yield family


def counted(families: Iterable[Family]) -> Iterator[Family]:
    """Yield those that only grow: they stay when their process has ended."""
    for family in families:
        if family.type in ("counter", "histogram"):
            yield family


def added_up(processes: Iterable[Iterable[Family]]) -> list[Family]:
    """
    Return the families of several processes as one list.

    Families that are not in the table, those of the process itself, are sums.
    """
    families: dict[str, Family] = {}
    values: dict[str, dict[_Key, float]] = {}
    for process in processes:
        for family in process:
            name = family.name
            if name not in families:
                families[name] = Family(name, family.documentation, family.type)
                values[name] = {}
            way = _WAYS[_together(name)]
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                known = values[name].get(key)
                values[name][key] = (
                    sample.value if known is None else way(known, sample.value)
                )
    for name, made in families.items():
        for (sample_name, labels), value in values[name].items():
            made.add_sample(sample_name, dict(labels), value)
    return list(families.values())
