"""Metrics as Prometheus reads them, while a client pushes and pulls."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

from .case import RegbrokerTestCase
from .peers.processes import base_environment, poll, require_programs, run
from .peers.prometheus import Prometheus

DASHBOARD = Path(__file__).resolve().parents[2] / "etc" / "grafana-dashboard.json"


class MetricsTests(RegbrokerTestCase):
    """An admin listener on loopback, and a Prometheus that scrapes it."""

    main = "admin-listen = tcp:0\nmetrics-repositories = yes"

    def setUp(self) -> None:
        require_programs("prometheus", "promtool")
        super().setUp()
        self.admin = self.regbroker.admin_url()
        self.skopeo = self.make_skopeo()
        self.image = self.make_image()

    def ask(self, path: str) -> tuple[int, str]:
        """Status and body of a page of the admin listener."""
        try:
            with urllib.request.urlopen(self.admin + path, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def push_and_pull(self) -> None:
        """An image goes up and comes back."""
        self.log_in(self.skopeo, "alice")
        reference = f"{self.host}/team/app:1"
        self.assert_done(self.skopeo.push(self.image.source, reference))
        self.assert_done(self.skopeo.pull(reference, f"dir:{self.directory}/pulled"))

    def test_promtool_has_no_complaint(self) -> None:
        """promtool finds nothing wrong with the names, kinds and texts."""
        self.push_and_pull()
        status, text = self.ask("/metrics")
        self.assertEqual(status, 200)
        self.assertIn('repository="team/app"', text)
        checked = run(
            ["promtool", "check", "metrics"], base_environment(self.directory), text
        )
        self.assertEqual((checked.status, checked.output), (0, ""))

    def test_rules_are_understood(self) -> None:
        """promtool finds nothing wrong with the rules for alerts."""
        rules = DASHBOARD.with_name("prometheus-rules.yml")
        environment = base_environment(self.directory)
        checked = run(["promtool", "check", "rules", rules], environment)
        self.assertEqual(checked.status, 0, checked.output)
        self.assertIn("8 rules found", checked.output)

    def test_scraped(self) -> None:
        """Prometheus has what a push and a pull have done, by endpoint and upstream."""
        prometheus = Prometheus(self.directory / "prometheus", self.port_of_admin())
        self.addCleanup(prometheus.stop)
        self.push_and_pull()
        pushed = (
            'sum by (status) (regbroker_http_requests_total{endpoint="upload",'
            'method="PUT"})'
        )
        poll(lambda: prometheus.query(pushed).get("status=201"), "pushed layers")
        self.assertEqual(list(prometheus.query("up").values()), [1.0])
        labels = "instance={} job=regbroker upstream=up".format(
            self.admin.removeprefix("http://")
        )
        self.assertEqual(
            prometheus.query("regbroker_upstream_up"),
            {f"__name__=regbroker_upstream_up {labels}": 1.0},
        )
        received = prometheus.query("sum(regbroker_received_bytes_total)")[""]
        self.assertGreater(received, 1000)
        logins = prometheus.query("sum by (outcome) (regbroker_logins_total)")
        self.assertGreater(logins["outcome=accepted"], 0)
        expiry = prometheus.query("min(regbroker_certificate_expiry_seconds)")[""]
        self.assertGreater(expiry, 0)

    def test_dashboard_is_understood(self) -> None:
        """Prometheus parses each question of the dashboard."""
        prometheus = Prometheus(self.directory / "prometheus", self.port_of_admin())
        self.addCleanup(prometheus.stop)
        poll(lambda: prometheus.query("regbroker_build_info"), "a scrape")
        answered = 0
        for panel in json.loads(DASHBOARD.read_text())["panels"]:
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", "1m")
                for variable in ("$job", "$registry"):
                    expression = expression.replace(variable, ".*")
                answered += bool(prometheus.query(expression))
        self.assertGreater(answered, 5)

    def test_not_ready_while_the_upstream_is_down(self) -> None:
        """Ready, then not, with the upstream's name; and ready again."""
        self.assertEqual(self.ask("/ready")[0], 200)
        self.registry.stop()
        poll(lambda: self.ask("/ready")[0] == 503, "503")
        _, text = self.ask("/ready")
        upstream = json.loads(text)["registries"]["localhost"]["upstreams"]["up"]
        self.assertFalse(upstream["answers"])
        self.assertIn("cannot be reached", upstream["problem"])
        self.assertEqual(self.ask("/live")[0], 200)
        self.registry.start()
        poll(lambda: self.ask("/ready")[0] == 200, "200")

    def port_of_admin(self) -> int:
        """The port of the admin listener."""
        return int(self.admin.rpartition(":")[2])
