"""The admin listener of a process in front of others."""

from __future__ import annotations

from prometheus_client.core import Metric as Family

from regbroker.admin.others import Others
from regbroker.admin.report import Report
from tests.admin.case import AdminTestCase

METRICS = """\
# TYPE regbroker_http_requests_total counter
regbroker_http_requests_total{endpoint="base",method="GET"} 3.0
# TYPE regbroker_draining gauge
regbroker_draining 1.0
"""


class MadeUp(Others):
    """Two others that say what a test wants."""

    def __init__(self) -> None:
        self.said = {"1": "serving", "2": "starting"}

    async def reports(self) -> list[Report]:
        return [Report(7, 1, metrics=METRICS), Report(5, metrics=METRICS)]

    def ended(self) -> list[Family]:
        family = Family("regbroker_http_requests", "", "counter")
        labels = {"endpoint": "base", "method": "GET"}
        family.add_sample("regbroker_http_requests_total", labels, 10.0)
        return [family]

    @property
    def states(self) -> dict[str, str]:
        return self.said


class OthersTests(AdminTestCase):
    """One that tells about two others, and about one that has ended."""

    async def set_up(self) -> None:
        await super().set_up()
        self.others = MadeUp()
        self.monitor.others = self.others

    async def test_metrics(self) -> None:
        """What they count is added up; how it is, this process says itself."""
        values = await self.scrape()
        name = 'regbroker_http_requests_total{endpoint="base",method="GET"}'
        self.assertEqual(values[name], 16.0)
        self.assertEqual(values["regbroker_draining"], 0.0)
        self.assertIn('regbroker_upstream_up{upstream="up"}', values)
        self.assertIn("process_resident_memory_bytes", values)
        # Its own connections are nobody's.
        self.assertNotIn("regbroker_connections_limit", values)

    async def test_ready(self) -> None:
        """It is ready while one of them serves."""
        self.assertEqual(
            (await self.document("/ready"))["workers"],
            {"1": "serving", "2": "starting"},
        )
        self.others.said = {"1": "has ended", "2": "starting"}
        reply = await self.ask_admin("/ready")
        self.assertEqual((reply.status, reply.json()["ready"]), (503, False))

    async def test_page(self) -> None:
        """The page shows what they have counted."""
        for target in ("/", "/status"):
            body = (await self.ask_admin(target)).body.decode()
            self.assertIn("1 of 2 workers", body)
            self.assertIn("<b>12</b>", body)
