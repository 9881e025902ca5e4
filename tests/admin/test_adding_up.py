"""Metrics of several processes as those of one."""

from __future__ import annotations

from prometheus_client.core import Metric as Family
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin.adding_up import (
    added_up,
    counted,
    only_front,
    serving_families,
)
from tests.admin.case import samples

ONE = """\
# TYPE regbroker_http_requests_total counter
regbroker_http_requests_total{registry="a",status="200"} 2
# TYPE regbroker_upstream_up gauge
regbroker_upstream_up{upstream="up"} 1
# TYPE regbroker_certificate_expiry_seconds gauge
regbroker_certificate_expiry_seconds{certificate="tls"} 100
# TYPE regbroker_draining gauge
regbroker_draining 0
# TYPE regbroker_http_request_duration_seconds histogram
regbroker_http_request_duration_seconds_bucket{le="0.1"} 1
regbroker_http_request_duration_seconds_bucket{le="+Inf"} 2
regbroker_http_request_duration_seconds_count 2
regbroker_http_request_duration_seconds_sum 1.5
# TYPE process_open_fds gauge
process_open_fds 10
"""

OTHER = """\
# TYPE regbroker_http_requests_total counter
regbroker_http_requests_total{status="200",registry="a"} 3
regbroker_http_requests_total{registry="b",status="200"} 1
# TYPE regbroker_upstream_up gauge
regbroker_upstream_up{upstream="up"} 0
# TYPE regbroker_certificate_expiry_seconds gauge
regbroker_certificate_expiry_seconds{certificate="tls"} 50
# TYPE regbroker_draining gauge
regbroker_draining 1
# TYPE regbroker_http_request_duration_seconds histogram
regbroker_http_request_duration_seconds_bucket{le="0.1"} 4
regbroker_http_request_duration_seconds_bucket{le="+Inf"} 4
regbroker_http_request_duration_seconds_count 4
regbroker_http_request_duration_seconds_sum 0.1
# TYPE process_open_fds gauge
process_open_fds 7
"""


class Families:
    """What is rendered."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> list[Family]:
        """Return the families."""
        return self._families


class AddingUpTests(SynchronousTestCase):
    def added(self, *texts: str) -> dict[str, float]:
        """The metrics of processes that have written these."""
        families = added_up(text_string_to_metric_families(text) for text in texts)
        text = generate_latest(Families(families))
        return samples(text.decode())

    def test_together(self) -> None:
        """Sums, but the nearest end, and the worst of states."""
        start = "regbroker_http_request"
        self.assertEqual(
            self.added(ONE, OTHER),
            {
                f'{start}s_total{{registry="a",status="200"}}': 5,
                f'{start}s_total{{registry="b",status="200"}}': 1,
                'regbroker_upstream_up{upstream="up"}': 0,
                'regbroker_certificate_expiry_seconds{certificate="tls"}': 50,
                "regbroker_draining": 1,
                f'{start}_duration_seconds_bucket{{le="0.1"}}': 5,
                f'{start}_duration_seconds_bucket{{le="+Inf"}}': 6,
                f"{start}_duration_seconds_count": 6,
                f"{start}_duration_seconds_sum": 1.6,
                "process_open_fds": 17,
            },
        )

    def test_one(self) -> None:
        """One process is what it is, and its values are not changed."""
        self.assertEqual(self.added(ONE), samples(ONE))

    def test_who_tells(self) -> None:
        """What the process in front knows alone, and what each knows of itself."""
        families = list(text_string_to_metric_families(ONE))
        front = {"upstream_up", "certificate_expiry_seconds", "draining"}
        serving = {"http_requests", "http_request_duration_seconds"}
        for found, names in (
            (serving_families(ONE), serving),
            (only_front(families), front),
        ):
            self.assertEqual(
                {family.name for family in found},
                {f"regbroker_{name}" for name in names} | {"process_open_fds"},
            )

    def test_counted(self) -> None:
        """What only grows stays of a process that has ended."""
        families = counted(text_string_to_metric_families(ONE))
        self.assertEqual(
            [family.name for family in families],
            ["regbroker_http_requests", "regbroker_http_request_duration_seconds"],
        )
