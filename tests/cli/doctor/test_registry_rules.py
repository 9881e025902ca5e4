"""What answers mean."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.doctor.answers import Answer
from regbroker.cli.doctor.registry_rules import (
    clock_difference,
    clock_trouble,
    content_trouble,
    granted,
    ping_trouble,
    redacted,
    rights_trouble,
    storage_trouble,
    token_of,
    token_trouble,
)
from regbroker.cli.doctor.steps import Trouble
from regbroker.protocol.origins import Origin

HTTPS = Origin("https", "a.test", 443)


def answer(status: int, body: Any = b"", **headers: str) -> Answer:
    """An answer with these headers."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = tuple((n.replace("_", "-"), value) for n, value in headers.items())
    return Answer(status, found, data)


def problem(trouble: Trouble | None) -> str:
    """What is said to be wrong; empty for nothing."""
    return "" if trouble is None else trouble.problem


class RegistryRulesTests(SynchronousTestCase):
    def test_ping(self) -> None:
        """Registries, and what is none."""
        for found, words in (
            (answer(200, b"{}"), ""),
            (answer(200, b""), ""),
            (answer(200, b"x", docker_distribution_api_version="registry/2.0"), ""),
            (answer(401), ""),
            (answer(200, b"hello"), "it is not a registry"),
            (answer(200, b"<html>"), "with a web page"),
            (answer(302, location="https://b.test/x?secret"), "https://b.test/x?..."),
            (answer(403), "refuses this machine"),
            (answer(404), "not at this path"),
            (answer(418), "answered 418"),
            (answer(429, retry_after="9"), "come again in 9 s"),
            (answer(500), "broken or overloaded"),
        ):
            said = problem(ping_trouble(found, HTTPS, "WHERE"))
            self.assertEqual(bool(said), bool(words), found)
            self.assertIn(words, said)

    def test_clock(self) -> None:
        """A Date, or none that can be read."""
        now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=timezone.utc)
        ahead = clock_difference(answer(200, date="Thu, 01 Jan 2026 12:02:00 GMT"), now)
        self.assertEqual(ahead, 120.0)
        self.assertIn("120 s ahead of", problem(clock_trouble(120.0)))
        self.assertIn("behind", problem(clock_trouble(-61.0)))
        self.assertEqual(problem(clock_trouble(-60.0)), "")
        for text in ("yesterday", "", "Thu, 01 Jan 2026 12:02:00 -0000"):
            self.assertIsNone(clock_difference(answer(200, date=text), now))

    def test_token(self) -> None:
        """Tokens by either name; who is refused; what is no token service."""
        self.assertEqual(token_of(answer(200, {"token": "a"})), "a")
        self.assertEqual(token_of(answer(200, {"token": "", "access_token": "b"})), "b")
        for found, words in (
            (answer(200, {"token": "a"}), ""),
            (answer(401), "does not take bob"),
            (answer(403), "does not take bob"),
            (answer(404), "no token service at this realm"),
            (answer(200, b"<html>Log in</html>"), "no token service at this realm"),
            (answer(200, {}), "without a token"),
            (answer(200, {"token": 1}), "without a token"),
            (answer(503), "the token service is broken"),
        ):
            said = problem(token_trouble(found, "bob"))
            self.assertEqual(bool(said), bool(words), found)
            self.assertIn(words, said)

    def test_granted(self) -> None:
        """The actions in a token's claims; opaque tokens say nothing."""

        def made(claims: Any) -> str:
            payload = base64.urlsafe_b64encode(json.dumps(claims).encode())
            return f"x.{payload.decode().rstrip('=')}.y"

        access = [{"name": "a", "actions": ["pull"]}, {"name": "b", "actions": "x"}]
        token = made({"access": access})
        self.assertEqual(granted(token, "a"), ["pull"])
        self.assertEqual(granted(token, "b"), [])
        for opaque in ("opaque", "a.b.c", made([]), made({"access": "x"})):
            self.assertIsNone(granted(opaque, "a"))
        self.assertEqual(problem(rights_trouble(None, "bob", "a")), "")
        self.assertEqual(problem(rights_trouble(["*"], "bob", "a")), "")
        self.assertIn(
            "grants push there", problem(rights_trouble(["push"], "bob", "a"))
        )

    def test_content(self) -> None:
        """Missing repositories, tags, rights."""
        for found, words in (
            *((answer(status), "") for status in (200, 206, 302, 303, 307, 308)),
            (answer(404, {"errors": [{"code": "NAME_UNKNOWN"}]}), "does not exist"),
            (answer(404), "acme/app has no manifest 1 (404)"),
            (answer(403), "bob has no right to pull"),
            (answer(401), "bob has no right to pull"),
            (answer(400), "it answered 400"),
        ):
            said = problem(content_trouble(found, "manifest 1", "acme/app", "bob"))
            self.assertEqual(bool(said), bool(words), found)
            self.assertIn(words, said)

    def test_storage(self) -> None:
        """A storage that gives, refuses, or lacks."""
        self.assertIsNone(storage_trouble(answer(206), "s.test"))
        self.assertIn("refuses", problem(storage_trouble(answer(403), "s.test")))
        self.assertIn("answered 404", problem(storage_trouble(answer(404), "s.test")))

    def test_redacted(self) -> None:
        """Signatures stand in queries."""
        self.assertEqual(redacted("https://s/a?sig=x"), "https://s/a?...")
        self.assertEqual(redacted("https://s/a"), "https://s/a")

    @given(st.text(max_size=60))
    def test_any_token(self, text: str) -> None:
        """Whatever a token is, it grants a list or says nothing."""
        for token in (text, f"a.{text}.b"):
            actions = granted(token, "a")
            self.assertTrue(actions is None or isinstance(actions, list))
