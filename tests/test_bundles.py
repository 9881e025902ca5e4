"""Tokens of several upstreams in one."""

from __future__ import annotations

import base64
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.bundles import format_bundle, parse_bundle

NAMES = st.text("abc-.09", min_size=1, max_size=8)
TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


def bundled(document: object) -> str:
    """A document in the form of a bundle."""
    return "rb1." + base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


class BundleTests(SynchronousTestCase):
    @given(st.dictionaries(NAMES, TOKENS), st.sets(NAMES))
    def test_round_trip(self, tokens: dict[str, str], unavailable: set[str]) -> None:
        """Each upstream gets its own out of it again, and no other."""
        text = format_bundle(tokens, unavailable)
        self.assertRegex(text, r"\A[A-Za-z0-9._-]+\Z")
        bundle = parse_bundle(text)
        assert bundle is not None
        for name in {*tokens, *unavailable, "another"}:
            self.assertEqual(bundle.token(name), tokens.get(name))
            self.assertEqual(bundle.is_unavailable(name), name in unavailable)

    def test_names_stay_here(self) -> None:
        """Clients do not read what the sections are called."""
        text = format_bundle({"aliyun": "t"}, ["dockerhub"])
        plain = base64.urlsafe_b64decode(text.partition(".")[2] + "==")
        self.assertNotIn(b"aliyun", plain)
        self.assertNotIn(b"dockerhub", plain)

    def test_secret(self) -> None:
        """Its tokens do not show where one is printed."""
        self.assertNotIn("s3cret", repr(parse_bundle(format_bundle({"a": "s3cret"}))))

    def test_none(self) -> None:
        """What is no bundle is none, whatever it is."""
        good = format_bundle({"a": "t"})
        for text in (
            "",
            "t0ken",
            "rb1.",
            good[:-1],
            good.removeprefix("rb1."),
            good + "!",
            bundled([]),
            bundled({}),
            bundled({"t": []}),
            bundled({"t": {"a": 1}}),
            bundled({"t": {"a": "two words"}}),
            bundled({"t": {"a": "line\r\nbreak"}}),
            bundled({"t": {"a": "ä"}}),
            bundled({"t": {}, "u": {}}),
            bundled({"t": {}, "u": [1]}),
            "rb1." + base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        ):
            self.assertIsNone(parse_bundle(text), text[:80])
