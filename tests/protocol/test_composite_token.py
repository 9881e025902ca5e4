"""Tokens of several upstreams in one."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol import composite_token
from regbroker.protocol.composite_token import (
    MAX_REMEMBERED,
    MAX_REMEMBERED_TOKEN,
    UNAVAILABLE_SECONDS,
    CompositeTokens,
    is_composite,
    token_for,
)

NAMES = st.text("abc-.09", min_size=1, max_size=8)
TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


def written(document: object) -> str:
    """A document in the form of a composite token."""
    return "rb1." + base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def opened(text: str) -> dict[str, Any]:
    """The document in a composite token."""
    encoded = text.partition(".")[2]
    document: dict[str, Any] = json.loads(base64.urlsafe_b64decode(encoded + "=="))
    return document


class CompositeTokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1000.0
        self.composite_tokens = CompositeTokens(b"key", lambda: self.now)

    @given(st.dictionaries(NAMES, TOKENS), st.sets(NAMES))
    def test_round_trip(self, tokens: dict[str, str], unavailable: set[str]) -> None:
        """Each upstream gets its own out of it again, and no other."""
        composite_tokens = CompositeTokens(b"key", lambda: 1000.0)
        text = composite_tokens.write(tokens, dict.fromkeys(unavailable, (503, 7.0)))
        self.assertRegex(text, r"\A[A-Za-z0-9._-]+\Z")
        for name in {*tokens, *unavailable, "another"}:
            self.assertEqual(token_for(text, name), tokens.get(name))
            why = composite_tokens.unavailable(text, name)
            self.assertEqual(why, (503, 7.0) if name in unavailable else None)

    def test_long(self) -> None:
        """Very long ones are read as well, each time."""
        long = "x" * MAX_REMEMBERED_TOKEN
        text = self.composite_tokens.write({"one": long}, {"two": (503, 7.0)})
        for _ in range(2):
            self.assertEqual(token_for(text, "one"), long)
            self.assertEqual(self.composite_tokens.unavailable(text, "two"), (503, 7.0))

    def test_bounded(self) -> None:
        """Who makes up tokens does not fill the memory."""
        first = self.composite_tokens.write({"one": "t"})
        self.assertEqual(token_for(first, "one"), "t")
        for number in range(2 * MAX_REMEMBERED):
            text = self.composite_tokens.write({"one": f"t{number}"})
            self.assertEqual(token_for(text, "one"), f"t{number}")
        self.assertEqual(token_for(first, "one"), "t")
        kept = composite_token._remembered.cache_info().currsize
        self.assertEqual(kept, MAX_REMEMBERED)

    def test_form(self) -> None:
        """The form tells it from other tokens."""
        self.assertTrue(is_composite(self.composite_tokens.write({"one": "t"})))
        for token in ("", "t", "eyJhbGciOiJFUzI1NiJ9.e30.x"):
            self.assertFalse(is_composite(token))

    def test_names_stay_here(self) -> None:
        """Clients do not read what the sections are called."""
        document = repr(
            opened(
                self.composite_tokens.write({"aliyun": "t"}, {"dockerhub": (503, 1.0)})
            )
        )
        self.assertNotIn("aliyun", document)
        self.assertNotIn("dockerhub", document)

    def test_seal(self) -> None:
        """Who was not there is our own word: nobody else's, and not for long."""
        text = self.composite_tokens.write({}, {"one": (429, 5.0)})
        self.assertEqual(self.composite_tokens.unavailable(text, "one"), (429, 5.0))
        seal, until, missing = opened(text)["u"]
        other = opened(self.composite_tokens.write({}, {"two": (429, 5.0)}))["u"][2]
        forgeries: tuple[Any, ...] = (
            ["", until, missing],
            [seal, until + 1, missing],
            [seal, until, {**missing, **other}],
            [seal[:-1], until, missing],
            ["ä", until, missing],
            [seal, until, {}],
            [seal, until],
            [seal, str(until), missing],
            [seal, until, list(missing)],
            list(missing),
            {},
        )
        for forged in forgeries:
            forgery = written({"t": {}, "u": forged})
            for name in ("one", "two"):
                self.assertIsNone(
                    self.composite_tokens.unavailable(forgery, name), forged
                )
        elsewhere = CompositeTokens(b"another key", lambda: self.now)
        self.assertIsNone(elsewhere.unavailable(text, "one"))
        self.now += 6
        self.assertEqual(self.composite_tokens.unavailable(text, "one"), (429, 0.0))
        self.now += UNAVAILABLE_SECONDS
        self.assertIsNone(self.composite_tokens.unavailable(text, "one"))

    def test_none(self) -> None:
        """What is no composite token holds nothing, whatever it is."""
        good = self.composite_tokens.write({"a": "t"})
        key = next(iter(opened(good)["t"]))
        for text in (
            "",
            "t0ken",
            "rb1.",
            good[:-1],
            good.removeprefix("rb1."),
            good + "!",
            written([]),
            written({}),
            written({"t": []}),
            written({"t": {key: 1}}),
            written({"t": {key: ""}}),
            written({"t": {key: "two words"}}),
            written({"t": {key: "line\r\nbreak"}}),
            written({"t": {key: "ä"}}),
            "rb1." + base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        ):
            self.assertIsNone(token_for(text, "a"), text[:80])
            self.assertIsNone(self.composite_tokens.unavailable(text, "a"), text[:80])
        self.assertEqual(token_for(written({"t": {key: "t"}}), "a"), "t")
