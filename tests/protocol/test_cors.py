"""The Fetch standard's rules about pages of other origins."""

from __future__ import annotations

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.cors import (
    MAX_AGE_SECONDS,
    REPLY_HEADERS,
    REQUEST_HEADERS,
    allowed_origin,
    is_preflight,
    preflight_headers,
    reply_headers,
)
from tests.grammar import EXAMPLES, hostile

ALLOWED = ("https://ui.test", "http://localhost:3000", "https://[2001:db8::1]:8443")


class OriginTests(SynchronousTestCase):
    def test_allowed(self) -> None:
        """An origin of the list, whatever the case, with the default port or not."""
        for origin, same in (
            ("https://ui.test", "https://ui.test"),
            ("https://UI.Test", "https://ui.test"),
            ("HTTPS://ui.test:443", "https://ui.test"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
        ):
            self.assertEqual(allowed_origin(ALLOWED, [origin]), same)

    def test_not_allowed(self) -> None:
        """Everything else: what only looks like one of them, and ``null``."""
        for origins in (
            [],
            [""],
            ["null"],
            ["*"],
            ["http://ui.test"],
            ["https://ui.test:8443"],
            ["http://localhost"],
            ["https://ui.test.evil.test"],
            ["https://evil.ui.test"],
            ["https://evil-ui.test"],
            ["https://ui.test."],
            ["https://ui.test/"],
            ["https://ui.test https://ui.test"],
            ["https://ui.test, https://ui.test"],
            ["https://user@ui.test"],
            ["https://ui.test\n"],
            ["//ui.test"],
            ["ui.test"],
            ["https://ui.test", "https://ui.test"],
        ):
            self.assertIsNone(allowed_origin(ALLOWED, origins), origins)
            self.assertIsNone(allowed_origin((), origins), origins)

    def test_any(self) -> None:
        """A star allows every page, also one without a name; but not no page."""
        for origin in ("https://ui.test", "null", "moz-extension://x", ""):
            self.assertEqual(allowed_origin(("*",), [origin]), "*")
        self.assertIsNone(allowed_origin(("*",), []))

    @EXAMPLES
    @given(hostile)
    def test_anything(self, text: str) -> None:
        """What is answered is from the list, never what the request said."""
        for origin in (text, f"https://{text}", f"https://ui.test{text}"):
            self.assertIn(allowed_origin(ALLOWED, [origin]), (None, *ALLOWED))


class PreflightTests(SynchronousTestCase):
    def test_is_one(self) -> None:
        """OPTIONS that names a method; anything else is a request like others."""
        self.assertTrue(is_preflight("OPTIONS", "GET"))
        self.assertTrue(is_preflight("OPTIONS", ""))
        self.assertFalse(is_preflight("OPTIONS", None))
        self.assertFalse(is_preflight("GET", "GET"))
        self.assertFalse(is_preflight("options", "GET"))


class HeaderTests(SynchronousTestCase):
    def test_preflight(self) -> None:
        """Methods, headers, and for how long."""
        found = dict(preflight_headers("https://ui.test", "GET, HEAD"))
        self.assertEqual(
            found,
            {
                b"Access-Control-Allow-Origin": b"https://ui.test",
                b"Vary": b"Origin",
                b"Access-Control-Allow-Credentials": b"true",
                b"Access-Control-Allow-Methods": b"GET, HEAD",
                b"Access-Control-Allow-Headers": ", ".join(REQUEST_HEADERS).encode(),
                b"Access-Control-Max-Age": b"%d" % MAX_AGE_SECONDS,
            },
        )

    def test_reply(self) -> None:
        """What a page may read."""
        found = dict(reply_headers("https://ui.test"))
        self.assertEqual(
            found,
            {
                b"Access-Control-Allow-Origin": b"https://ui.test",
                b"Vary": b"Origin",
                b"Access-Control-Allow-Credentials": b"true",
                b"Access-Control-Expose-Headers": ", ".join(REPLY_HEADERS).encode(),
            },
        )

    def test_any(self) -> None:
        """With a star no credentials: browsers refuse both together."""
        for headers in (preflight_headers("*", "GET"), reply_headers("*")):
            found = dict(headers)
            self.assertEqual(found[b"Access-Control-Allow-Origin"], b"*")
            self.assertEqual(found[b"Vary"], b"Origin")
            self.assertNotIn(b"Access-Control-Allow-Credentials", found)

    def test_nobody(self) -> None:
        """A page that is not allowed learns nothing; caches learn that it differs."""
        self.assertEqual(reply_headers(None), [(b"Vary", b"Origin")])

    def test_no_stars(self) -> None:
        """With credentials a star in a list is a name like others."""
        for name in (*REQUEST_HEADERS, *REPLY_HEADERS):
            self.assertRegex(name, r"\A[A-Za-z-]+\Z")
        # A star would not stand for it either.
        self.assertIn("Authorization", REQUEST_HEADERS)
