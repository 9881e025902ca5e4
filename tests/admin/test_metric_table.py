"""The table of metrics: complete, by the conventions, enough for the dashboard."""

from __future__ import annotations

import json
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin.metric_table import METRICS, Kind
from regbroker.causes import Cause
from tests.admin.case import AdminTestCase

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "etc" / "prometheus-rules.yml"
DASHBOARD = ROOT / "etc" / "grafana-dashboard.json"


def series() -> dict[str, set[str]]:
    """The labels of each series that may be asked for, by its name."""
    found: dict[str, set[str]] = {}
    for metric in METRICS:
        labels = {*metric.labels, "job", "instance"}
        if metric.kind is Kind.HISTOGRAM:
            found[f"{metric.name}_bucket"] = labels | {"le"}
            found[f"{metric.name}_sum"] = found[f"{metric.name}_count"] = labels
        else:
            found[metric.name] = labels
    return found


class TableTests(SynchronousTestCase):
    def test_names(self) -> None:
        """A counter ends with _total, nothing else does; seconds and bytes are said."""
        for metric in METRICS:
            self.assertRegex(metric.name, r"^regbroker_[a-z_]+$")
            is_counter = metric.kind is Kind.COUNTER
            self.assertEqual(metric.name.endswith("_total"), is_counter, metric.name)
            self.assertRegex(metric.meaning, r"^.*[.]$", metric.name)
        names = [metric.name for metric in METRICS]
        self.assertEqual(len(names), len(set(names)))

    def test_dashboard(self) -> None:
        """The dashboard asks for nothing but these, by labels that they have."""
        dashboard = json.loads(DASHBOARD.read_text())
        expressions = [
            target["expr"]
            for panel in dashboard["panels"]
            for target in panel["targets"]
        ]
        self.assertGreater(len(expressions), 20)
        expressions += [
            each["query"]["query"]
            for each in dashboard["templating"]["list"]
            if isinstance(each["query"], dict)
        ]
        known, asked = series(), set()
        for expression in expressions:
            names = set(re.findall(r"\bregbroker_\w+", expression))
            self.assertTrue(names, expression)
            self.assertEqual(names - set(known), set(), expression)
            labels = set(re.findall(r"(\w+)[!=]=?~?\"", expression))
            for listed in re.findall(r"by \(([^)]*)\)", expression):
                labels |= {one.strip() for one in listed.split(",")}
            for name in names:
                self.assertEqual(labels - known[name], set(), expression)
            asked |= names
        # All but those that are of use elsewhere.
        histograms = {n for n in known if n.endswith(("_sum", "_count", "_bucket"))}
        self.assertEqual(
            set(known) - asked - histograms,
            {"regbroker_draining", "regbroker_repository_requests_total"},
        )


class RulesTests(SynchronousTestCase):
    def test_rules(self) -> None:
        """The rules for alerts ask for nothing but these, by values that there are."""
        text = RULES.read_text()
        names = set(re.findall(r"\bregbroker_\w+", text))
        self.assertGreater(len(names), 5)
        self.assertEqual(names - set(series()), set())
        (causes,) = re.findall(r'outcome=~"(own-.*?)"', text)
        matching = [one for one in Cause if re.fullmatch(causes, one.value)]
        self.assertEqual(
            matching, [Cause.OWN_ACCOUNT_REFUSED, Cause.OWN_ACCOUNT_MISSING]
        )


class CompleteTests(AdminTestCase):
    main = "admin-listen = tcp:0\nmetrics-repositories = yes"
    listen = "tls:0:interface=127.0.0.1"

    async def set_up(self) -> None:
        self.autostart = False
        await super().set_up()

    async def test_scraped(self) -> None:
        """A scrape has each metric of the table, with its kind and its meaning."""
        await self.serve()
        text = (await self.ask_admin("/metrics")).body.decode()
        for metric in METRICS:
            self.assertIn(f"# TYPE {metric.name} {metric.kind.value}\n", text)
            self.assertIn(f"# HELP {metric.name} {metric.meaning}\n", text)
        ours = set(re.findall(r"^# TYPE (regbroker_\w+)", text, re.MULTILINE))
        self.assertEqual(ours, {metric.name for metric in METRICS})
