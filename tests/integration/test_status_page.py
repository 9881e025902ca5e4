"""The status page in a browser, while a client pushes."""

from __future__ import annotations

import http.client
from pathlib import Path

from .case import USERS, RegbrokerTestCase
from .peers.chromium import Chromium
from .peers.processes import poll, require_programs

TOTAL = 40_000


class StatusPageTests(RegbrokerTestCase):
    """A push that goes as far as the test lets it."""

    main = "admin-listen = tcp:0"

    def setUp(self) -> None:
        require_programs("chromium")
        super().setUp()
        self.browser = Chromium(self.directory / "chromium")
        self.addCleanup(self.browser.stop)
        self.url = self.regbroker.admin_url() + "/"

    def begin_push(self) -> http.client.HTTPConnection:
        """Begin to upload a layer of TOTAL bytes, and send a quarter of it."""
        scope = "repository:team/app:pull,push"
        password = USERS["alice"].password
        reply = self.https.get_token("/auth", "alice", password, scope)
        token = reply.json()["token"]
        authorization = {"Authorization": f"Bearer {token}"}
        begun = self.https.request("POST", "/v2/team/app/blobs/uploads/", authorization)
        client = self.https.connect()
        self.addCleanup(client.close)
        client.putrequest("PATCH", begun.location())
        client.putheader("Authorization", authorization["Authorization"])
        client.putheader("Content-Type", "application/octet-stream")
        client.putheader("Content-Length", str(TOTAL))
        client.endheaders(b"a" * (TOTAL // 4))
        return client

    def value(self) -> int:
        """How far the bar of the transfer is; -1 without one."""
        found = self.browser.evaluate("(document.querySelector('progress')||{}).value")
        return -1 if found is None else int(found)

    def test_push_is_watched(self) -> None:
        """The bar of a push moves without a reload, and goes when it is over."""
        client = self.begin_push()
        self.browser.open(self.url)
        self.browser.evaluate("window.stays = true")
        poll(lambda: self.value() == TOTAL // 4, "a quarter")
        self.assertIn("team/app", self.browser.text())
        self.assertIn("10.0 kB of 40.0 kB", self.browser.text())
        self.assertIn("alice at 127.0.0.1", self.browser.text())
        client.send(b"b" * (TOTAL // 4))
        poll(lambda: self.value() == TOTAL // 2, "a half")
        client.send(b"c" * (TOTAL // 2))
        self.assertEqual(client.getresponse().status, 202)
        poll(lambda: "Nothing is under way." in self.browser.text(), "the end")
        self.assertTrue(self.browser.evaluate("window.stays"))
        self.assertEqual(self.browser.console, [])

    def test_fits(self) -> None:
        """Light and dark, on a desk and in a hand: nothing is wider than the screen."""
        path = "/v2/" + "long-name-of-a-repository/" * 8 + "tags/list"
        self.https.request("GET", path)
        # No place to break a line at.
        self.https.request("GET", f"/v2/{'x' * 240}/tags/list")
        self.https.get_token("/auth", "u" * 200, "a guess", "repository:team/app:pull")
        self.begin_push()
        backgrounds = set()
        for width, height in ((1280, 900), (390, 844), (320, 640)):
            for scheme in ("light", "dark"):
                self.browser.show_as(width, height, scheme)
                self.browser.open(self.url)
                self.assertIn("long-name-of-a-repository", self.browser.text())
                # Long ones are shown as far as the log has them.
                self.assertIn("x" * 190, self.browser.text())
                wide = self.browser.evaluate("document.documentElement.scrollWidth")
                self.assertLessEqual(wide, width)
                backgrounds.add(
                    self.browser.evaluate(
                        "getComputedStyle(document.body).backgroundColor"
                    )
                )
                picture = Path(self.directory, f"{width}-{scheme}.png")
                self.browser.screenshot(picture)
                self.assertTrue(picture.read_bytes().startswith(b"\x89PNG"))
        self.assertEqual(len(backgrounds), 2)
        self.assertEqual(self.browser.console, [])

    def test_nothing_runs_but_the_page(self) -> None:
        """A script that is put into the page does not run."""
        self.browser.open(self.url)
        self.browser.evaluate(
            "var s = document.createElement('script');"
            "s.textContent = 'window.ran = true'; document.body.append(s);"
            "var i = document.createElement('img'); i.src = '/live';"
            "i.setAttribute('onerror', 'window.ran = true'); document.body.append(i)"
        )
        poll(lambda: len(self.browser.console) >= 2, "complaints of the browser")
        self.assertIsNone(self.browser.evaluate("window.ran"))

    def test_regbroker_ends(self) -> None:
        """When regbroker does not answer, the page says so and keeps what it knows."""
        self.browser.open(self.url)
        self.regbroker.stop()
        poll(lambda: "regbroker does not answer" in self.browser.text(), "the note")
        self.assertIn("acme_team", self.browser.text())
