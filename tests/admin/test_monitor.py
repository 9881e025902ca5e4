"""Several services in one process, and a service that is reloaded."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from regbroker.admin.adding_up import added_up
from regbroker.admin.metric_table import METRICS, Kind
from regbroker.upstream.registry import Upstream
from regbroker.web.serving import UnderWay
from tests.admin.case import AdminTestCase
from tests.proxycase import MANIFEST
from tests.scripted import response

REQUESTS = (
    'regbroker_http_requests_total{endpoint="manifest",method="GET",registry="*",'
    'status="200"}'
)


class MonitorTests(AdminTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.upstream.handler = lambda call: response(200, body=b"{}")

    async def test_two_services(self) -> None:
        """Two services in one process count each its own requests."""
        first = self.monitor
        await self.serve()
        client = await self.connect()
        await client.ask("GET", MANIFEST)
        self.assertEqual((await self.scrape())[REQUESTS], 1)
        self.assertNotIn(b"http_requests_total{", first.text())
        await self.client.ask("GET", MANIFEST)
        self.assertEqual((await self.scrape())[REQUESTS], 1)
        self.assertIn(b"http_requests_total{", first.text())

    async def test_added_up(self) -> None:
        """What two services hand over as text is one service's when it is added up."""
        await self.client.ask("GET", MANIFEST)
        texts = [self.monitor.text()]
        await self.serve()
        client = await self.connect()
        await client.ask("GET", MANIFEST)
        texts.append(self.monitor.text())
        families = added_up(
            text_string_to_metric_families(text.decode()) for text in texts
        )
        values = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }
        names = {name for name, *_ in values}
        self.assertEqual(
            {one.name for one in METRICS if one.kind is not Kind.HISTOGRAM} - names,
            {
                "regbroker_certificate_expiry_seconds",
                "regbroker_refused_requests_total",
                "regbroker_logins_total",
                "regbroker_manifest_cache_requests_total",
                "regbroker_identity_logins_total",
                "regbroker_identity_up",
                "regbroker_repository_requests_total",
            },
        )
        labels = {
            "endpoint": "manifest",
            "method": "GET",
            "registry": "*",
            "status": "200",
        }
        requests = ("regbroker_http_requests_total", *labels.items())
        self.assertEqual(values[requests], 2)
        self.assertEqual(values["regbroker_upstream_up", ("upstream", "up")], 1)

    async def test_reloaded(self) -> None:
        """Counts stay, requests of both are counted once, an upstream is the same."""
        before = self.monitor.watched
        await self.client.ask("GET", MANIFEST)
        health = self.monitor.health["up"]
        self.monitor.watch(before)
        self.assertIs(self.monitor.health["up"], health)
        await self.client.ask("GET", MANIFEST)
        self.monitor.watch(replace(before, under_way=UnderWay()))
        await self.client.ask("GET", MANIFEST)
        self.assertEqual((await self.scrape())[REQUESTS], 3)
        config = before.upstreams["up"].upstream.config
        other = replace(before.upstreams["up"], upstream=Upstream(config, self.time))
        self.monitor.watch(replace(before, upstreams={"up": other}))
        self.assertIsNot(self.monitor.health["up"], health)
        self.monitor.watch(before)
