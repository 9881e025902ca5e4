"""Health checks of balancers, on the public listeners."""

from __future__ import annotations

from typing import Any

from twisted.logger import globalLogPublisher

from tests.proxycase import MANIFEST, ProxyTestCase
from tests.scripted import response
from tests.wire import Message


class HealthTests(ProxyTestCase):
    main = "health-path = /healthz"

    def ini(self) -> str:
        # No Host that a check may bring is served.
        return super().ini().replace("[registry *]", "[registry a.test]")

    async def set_up(self) -> None:
        await super().set_up()
        self.lines: list[str] = []

        def note(event: Any) -> None:
            if event.get("log_namespace") == "regbroker.events":
                self.lines.append(event["line"])

        observe: Any = note
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    async def asked(self, *lines: str, method: str = "GET") -> Message:
        """The reply to a request with these lines."""
        client = await self.connect()
        client.send("\r\n".join([*lines, "", ""]).encode())
        return await client.reply(method)

    async def test_any_host(self) -> None:
        """200 whatever the Host is, by GET and HEAD, with a query or without."""
        for host in ("a.test", "127.0.0.1:8443", "other.test"):
            for target in ("/healthz", "/healthz?from=balancer"):
                reply = await self.asked(f"GET {target} HTTP/1.1", f"Host: {host}")
                self.assertEqual((reply.status, reply.json()), (200, {"status": "ok"}))
                self.assertEqual(reply.header(b"Cache-Control"), b"no-store")
        reply = await self.asked("HEAD /healthz HTTP/1.1", "Host: x", method="HEAD")
        self.assertEqual((reply.status, reply.body), (200, b""))

    async def test_old_http(self) -> None:
        """HTTP/1.0 without any Host is what some balancers ask with."""
        client = await self.connect()
        client.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        self.assertIn(b'{"status": "ok"}', await client.end())

    async def test_old_clients(self) -> None:
        """A User-Agent that is denied elsewhere is not looked at."""
        reply = await self.asked(
            "GET /healthz HTTP/1.1", "Host: x", "User-Agent: docker/1.0"
        )
        self.assertEqual(reply.status, 200)

    async def test_not_logged(self) -> None:
        """No check is in the log; what comes behind it on the connection is."""
        self.client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((await self.client.reply()).status, 200)
        self.assertEqual(self.lines, [])
        self.client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((await self.client.reply()).status, 421)
        self.assertEqual(len(self.lines), 1)

    async def test_draining(self) -> None:
        """503 while regbroker drains, though it still serves."""
        self.services[0].draining = True
        reply = await self.asked("GET /healthz HTTP/1.1", "Host: x")
        self.assertEqual((reply.status, reply.json()), (503, {"status": "draining"}))

    async def test_others(self) -> None:
        """Other methods and other paths are nobody's health check."""
        for line in (
            "PUT /healthz HTTP/1.1",
            "GET /healthz/ HTTP/1.1",
            "GET /Healthz HTTP/1.1",
            "GET /%68ealthz HTTP/1.1",
        ):
            reply = await self.asked(line, "Host: a.test")
            self.assertEqual((reply.status, reply.code), (404, "UNSUPPORTED"), line)

    async def test_upstream_down(self) -> None:
        """An upstream that is down takes no regbroker out of the balancer."""
        self.upstream.handler = lambda call: response(503)
        reply = await self.asked(f"GET {MANIFEST} HTTP/1.1", "Host: a.test")
        self.assertEqual(reply.status, 503)
        reply = await self.asked("GET /healthz HTTP/1.1", "Host: x")
        self.assertEqual(reply.status, 200)


class WithoutHealthTests(ProxyTestCase):
    async def test_no_path(self) -> None:
        """Without the option there is no such path."""
        reply = await self.client.ask("GET", "/healthz")
        self.assertEqual((reply.status, reply.code), (404, "UNSUPPORTED"))
