"""Health, readiness and metrics, as programs ask for them."""

from __future__ import annotations

from dataclasses import replace

from regbroker.admin.upstream_health import FRESH_SECONDS
from tests.admin.case import AdminTestCase
from tests.proxycase import MANIFEST
from tests.scripted import response


class ProbeTests(AdminTestCase):
    async def test_live(self) -> None:
        """It lives, whatever the upstreams do."""
        reply = await self.ask_admin("/live")
        self.assertEqual((reply.status, reply.json()), (200, {"live": True}))
        self.assertEqual(reply.header(b"Cache-Control"), b"no-store")
        self.assertEqual(reply.header(b"X-Content-Type-Options"), b"nosniff")

    async def test_ready(self) -> None:
        """Ready while the upstream answers."""
        reply = await self.ask_admin("/ready")
        self.assertEqual(reply.status, 200)
        self.assertEqual(
            reply.json(),
            {
                "ready": True,
                "draining": False,
                "registries": {
                    "*": {"ready": True, "upstreams": {"up": {"answers": True}}}
                },
            },
        )

    async def test_upstream_down(self) -> None:
        """503 while no upstream answers, with its name and the reason."""
        self.upstream.ping = response(503)
        reply = await self.ask_admin("/ready")
        self.assertEqual(reply.status, 503)
        self.assertEqual(
            reply.json()["registries"]["*"]["upstreams"]["up"],
            {
                "answers": False,
                "problem": "the upstream registry answered with status 503",
            },
        )
        self.upstream.ping = response(200)
        self.time.clock.advance(FRESH_SECONDS)
        self.assertEqual((await self.ask_admin("/ready")).status, 200)

    async def test_draining(self) -> None:
        """503 while it drains; the upstream is not asked then."""
        self.services[0].draining = True
        self.upstream.ping = response(503)
        reply = await self.ask_admin("/ready")
        self.assertEqual((reply.status, reply.json()["draining"]), (503, True))
        self.assertTrue(reply.json()["registries"]["*"]["ready"])

    async def test_metrics(self) -> None:
        """What a client has asked is counted; the admin's own requests are not."""
        await self.exchange("GET", MANIFEST, response(200, body=b"{}"))
        self.client.request("GET", "/v2/other/app/manifests/1.0")
        await self.client.reply()
        await self.scrape()
        found = await self.scrape()
        ours = {k: v for k, v in found.items() if "http_requests_total" in k}
        self.assertEqual(
            ours,
            {
                'regbroker_http_requests_total{endpoint="manifest",method="GET",'
                f'registry="*",status="{status}"}}': 1.0
                for status in (200, 404)
            },
        )

    async def test_failure(self) -> None:
        """A mistake of ours is 500 without its details, and a traceback in the log."""
        watched = self.monitor.watched
        self.addCleanup(self.monitor.watch, watched)
        upstreams = {"missing": watched.upstreams["up"]}
        self.monitor.watched = replace(watched, upstreams=upstreams)
        reply = await self.ask_admin("/metrics")
        self.assertEqual(reply.status, 500)
        self.assertNotIn(b"missing", reply.body)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    async def test_nothing_else(self) -> None:
        """There is nothing else, and nothing can be changed."""
        reply = await self.ask_admin("/other")
        self.assertEqual(reply.status, 404)
        self.assertIn(b"/metrics", reply.body)
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            reply = await self.ask_admin("/live", method)
            self.assertEqual(reply.status, 405, method)
            self.assertEqual(reply.header(b"Allow"), b"GET, HEAD")

    async def test_any_host(self) -> None:
        """Whatever the Host is, and with HTTP/1.0 without one."""
        (url,) = self.admin.urls
        for head in (
            "GET /live HTTP/1.1\r\nHost: 10.0.0.7:9180",
            "GET /live HTTP/1.1\r\nHost: anything.test",
            "GET http://other.test/live HTTP/1.1\r\nHost: x",
            "GET /live HTTP/1.0",
        ):
            client = await self.connect_to(int(url.rpartition(":")[2]))
            client.send(f"{head}\r\nConnection: close\r\n\r\n".encode())
            self.assertIn(b'"live": true', await client.end(), head)

    async def test_head(self) -> None:
        """HEAD says the same without the body."""
        reply = await self.ask_admin("/ready", "HEAD")
        self.assertEqual((reply.status, reply.body), (200, b""))
