"""regbroker with an admin listener, between a raw client and a scripted upstream."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from regbroker.admin.monitor import Monitor
from regbroker.admin.service import AdminService
from tests.proxycase import ProxyTestCase
from tests.wire import Message


def samples(text: str) -> dict[str, float]:
    """The values of a scrape by ``name{label="value"}``, labels by their names."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = (
                sample.value
            )
    return found


class AdminTestCase(ProxyTestCase):
    """`ask_admin` asks the admin listener, with a Host that nobody serves.

    Pages are asked for by `host`, as a browser does.
    """

    main = "admin-listen = tcp:0"

    @property
    def admin(self) -> AdminService:
        """The service of the admin listener."""
        admin = self.services[-1].admin
        assert admin is not None
        return admin

    @property
    def monitor(self) -> Monitor:
        """What the admin listener tells."""
        return self.admin.monitor

    async def ask_admin(
        self, target: str, method: str = "GET", host: str = ""
    ) -> Message:
        """The reply to one request."""
        if not host:
            host = "localhost" if target in ("/", "/status") else "registry.test"
        (url,) = self.admin.urls
        client = await self.connect_to(int(url.rpartition(":")[2]))
        client.request(method, target, f"Host: {host}")
        reply = await client.reply(method)
        client.close()
        return reply

    async def received_so_far(self, count: int) -> None:
        """Wait until so many bytes of the one request under way have come."""
        while True:
            under_way = self.monitor.watched.under_way.progress()
            if [one.bytes_in for one in under_way] == [count]:
                return
            await self.turn()

    async def scrape(self) -> dict[str, float]:
        """The metrics."""
        reply = await self.ask_admin("/metrics")
        self.assertEqual(reply.status, 200)
        return samples(reply.body.decode())

    async def document(self, target: str) -> Any:
        """A JSON document of the admin listener."""
        return (await self.ask_admin(target)).json()
