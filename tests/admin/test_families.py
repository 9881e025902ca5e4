"""Families as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as TheirHistogram
from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin.families import Histogram, family
from regbroker.admin.metric_table import Kind, Metric

LABELS = ("upstream", "endpoint")


class FamilyTests(SynchronousTestCase):
    def test_counter(self) -> None:
        """A counter's samples end in ``_total``, and its family does not."""
        metric = Metric("asked_total", Kind.COUNTER, LABELS, "How often.")
        made = family(metric, [(("up", "blob"), 2), (("up", "token"), 3)])
        self.assertEqual(
            (made.name, made.type, made.documentation),
            ("asked", "counter", "How often."),
        )
        self.assertEqual(
            [(one.name, one.labels, one.value) for one in made.samples],
            [
                ("asked_total", {"upstream": "up", "endpoint": "blob"}, 2),
                ("asked_total", {"upstream": "up", "endpoint": "token"}, 3),
            ],
        )

    def test_gauge(self) -> None:
        """A gauge has one name."""
        made = family(Metric("open", Kind.GAUGE, (), "Now."), [((), 2.5)])
        self.assertEqual((made.name, made.type), ("open", "gauge"))
        self.assertEqual(
            [(one.name, one.labels, one.value) for one in made.samples],
            [("open", {}, 2.5)],
        )


class HistogramTests(SynchronousTestCase):
    BOUNDS = (0.005, 0.1, 1, 10)
    METRIC = Metric("took_seconds", Kind.HISTOGRAM, LABELS, "How long.")

    def test_as_theirs(self) -> None:
        """What is told is what prometheus-client's own histogram tells."""
        ours = Histogram(self.BOUNDS)
        registry = CollectorRegistry()
        metric = self.METRIC
        theirs = TheirHistogram(
            metric.name,
            metric.meaning,
            metric.labels,
            registry=registry,
            buckets=self.BOUNDS,
        )
        for labels in (("up", "blob"), ("up", "token")):
            for amount in (0.0, 0.005, 0.0051, 0.1, 0.5, 1, 1.5, 10, 10.1, 1e9):
                ours.observe(labels, amount)
                theirs.labels(*labels).observe(amount)
        (expected,) = registry.collect()
        made = ours.family(metric)
        self.assertEqual(
            (made.name, made.type, made.documentation),
            (expected.name, expected.type, expected.documentation),
        )
        self.assertEqual(
            [(one.name, one.labels, one.value) for one in made.samples],
            [
                (one.name, one.labels, one.value)
                for one in expected.samples
                # When a series began is of no use where no series ends.
                if not one.name.endswith("_created")
            ],
        )

    def test_nothing(self) -> None:
        """Without an amount, there is a family without samples."""
        made = Histogram(self.BOUNDS).family(self.METRIC)
        self.assertEqual((made.type, made.samples), ("histogram", []))
