"""The status page: what is on it, and what can do no harm on it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

from regbroker.admin.status import SCRIPT, STYLE
from tests.admin.case import AdminTestCase
from tests.proxycase import BLOB, MANIFEST, UPLOADS
from tests.scripted import response

EVIL = "<script>alert(1)</script>"
"""What somebody may write where the page shows it."""

PROGRESS = re.compile(r"<progress[^>]*>")


class Elements(HTMLParser):
    """Collects a page's elements, and the text outside of style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.raw: dict[str, str] = {}
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("style", "script"):
            self.raw[self._open] = self.raw.get(self._open, "") + data
        else:
            self.texts.append(data)


class PageTests(AdminTestCase):
    async def page(self, target: str = "/status") -> str:
        """The page, or its contents."""
        reply = await self.ask_admin(target)
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.header(b"Content-Type"), b"text/html; charset=utf-8")
        return reply.body.decode()

    async def text(self) -> str:
        """What people read in the page's contents."""
        return " ".join(" ".join(Elements(await self.page()).texts).split())

    async def test_hosts(self) -> None:
        """On loopback the page is for addresses and localhost, not for names of DNS."""
        for target in ("/", "/status"):
            for host in ("localhost:9180", "a.localhost", "127.0.0.1:1", "[::1]:9180"):
                reply = await self.ask_admin(target, host=host)
                self.assertEqual(reply.status, 200, host)
            for host in (
                "evil.test",
                "localhost.evil.test:9180",
                "127.0.0.1.evil.test",
            ):
                reply = await self.ask_admin(target, host=host)
                self.assertEqual(reply.status, 421, host)
                self.assertEqual(
                    reply.body, b"this page is at http://localhost and by address\n"
                )

    async def test_empty(self) -> None:
        """A service that has done nothing says so."""
        text = await self.text()
        for part in (
            "ready",
            "Nothing is under way.",
            "every other host",
            "team → acme_team",
            "answers",
            "No listener has TLS.",
            "Nobody was refused.",
        ):
            self.assertIn(part, text)

    async def test_policy(self) -> None:
        """Nothing runs or is loaded but what is in the page, byte for byte."""
        reply = await self.ask_admin("/")
        self.assertTrue(reply.body.startswith(b"<!DOCTYPE html>\n<html"))
        policy = (reply.header(b"Content-Security-Policy") or b"").decode()
        self.assertTrue(policy.startswith("default-src 'none'; "))
        self.assertNotIn("unsafe", policy)
        found = Elements(reply.body.decode())
        for tag, text in (("style", STYLE), ("script", SCRIPT)):
            self.assertEqual(found.raw[tag], text)
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            self.assertIn(f"{tag}-src 'sha256-{digest}'", policy)
        for tag, attributes in found.elements:
            self.assertNotIn("style", attributes, tag)
            for name, value in attributes.items():
                self.assertFalse(name.startswith("on"), (tag, name))
                if name in ("src", "href"):
                    self.assertRegex(value or "", r"^(data:image/|[a-z]+$)")
        self.assertNotRegex(STYLE, r"url\(|@import")

    async def test_transfers(self) -> None:
        """What is under way, with bytes and a bar; the length may be unknown."""
        self.client.request("POST", UPLOADS, "Content-Length: 2000")
        self.client.send(b"a" * 500)
        await self.upstream.call()
        await self.received_so_far(500)
        self.time.clock.advance(2)
        page = await self.page()
        (bar,) = PROGRESS.findall(page)
        self.assertIn('max="2000"', bar)
        self.assertIn('value="500"', bar)
        text = await self.text()
        self.assertIn("500 B of 2.0 kB · 250 B/s", text)
        self.assertIn("push team/app POST uploads", text)
        self.assertIn("[upstream up] · for 2 s", text)
        second = await self.connect()
        second.request("GET", BLOB)
        (await self.upstream.call()).answer(b"HTTP/1.1 200 OK\r\n\r\nabcde")
        while "5 B ·" not in await self.text():
            await self.turn()
        bars = PROGRESS.findall(await self.page())
        self.assertEqual(["max=" in bar for bar in bars], [True, False])

    async def test_refusals(self) -> None:
        """Who was refused what, and why."""
        await self.client.ask("GET", "/v2/other/app/manifests/1.0")
        text = await self.text()
        self.assertIn("GET /v2/other/app/manifests/1.0", text)
        self.assertIn("404 NAME_UNKNOWN", text)
        self.assertIn("no namespace rule maps this name", text)

    async def test_upstream_down(self) -> None:
        """An upstream that does not answer, with the reason; so nothing is ready."""
        self.upstream.ping = response(503)
        self.upstream.handler = lambda call: response(503)
        await self.ask_admin("/ready")
        text = await self.text()
        self.assertIn("not ready", text)
        self.assertIn("no upstream answers", text)
        self.assertIn("does not answer", text)
        self.assertIn("the upstream registry answered with status 503", text)

    async def test_draining(self) -> None:
        """It says when it drains."""
        self.services[0].draining = True
        self.assertIn("regbroker draining", await self.text())

    async def test_escaped(self) -> None:
        """What clients and upstreams choose is text, wherever it stands."""
        basic = base64.b64encode(f"{EVIL}:{EVIL}".encode()).decode()
        for path in (f"/v2/{EVIL}/manifests/1", f"/v2/a{EVIL}", f"/{EVIL}"):
            await self.client.ask(
                "GET", path, f"Authorization: Basic {basic}", f"User-Agent: {EVIL}"
            )
        await self.client.ask(
            "GET", f"/v2/team/app/tags/{EVIL}", f"Authorization: Basic {basic}"
        )
        self.upstream.handler = lambda call: response(403, body=EVIL.encode())
        await self.client.ask("GET", MANIFEST, f"Authorization: Basic {basic}")
        health = self.monitor.health["up"]
        health.last_error = EVIL
        for target in ("/", "/status"):
            page = await self.page(target)
            self.assertNotIn(EVIL, page)
            self.assertIn("&lt;script", page)
            scripts = [tag for tag, _ in Elements(page).elements if tag == "script"]
            self.assertEqual(len(scripts), 1 if target == "/" else 0)

    async def test_no_secrets(self) -> None:
        """No password, token or query of a client's is on the page."""
        secret = "s3cret-of-alice"
        basic = base64.b64encode(f"alice:{secret}".encode()).decode()
        await self.client.ask(
            "GET", f"/nothing?password={secret}", f"Authorization: Basic {basic}"
        )
        await self.client.ask(
            "GET", MANIFEST.replace("team", "x"), f"Authorization: Bearer {secret}"
        )
        page = await self.page("/")
        self.assertIn("/nothing", page)
        self.assertNotIn(secret, page)
        self.assertNotIn(basic, page)


class CertificatePageTests(AdminTestCase):
    listen = "tls:0:interface=127.0.0.1"
    autostart = False

    async def test_days_left(self) -> None:
        """The certificate, its names, and the days that it has left."""
        await self.serve()
        page = (await self.ask_admin("/status")).body.decode()
        self.assertRegex(page, r"39[67] days left")
        self.assertIn("localhost, 127.0.0.1, ::1", page)
