"""What has the form of a JWT."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.jwts import (
    MAX_DEPTH,
    is_ours,
    parse_jwt_object,
    parse_unverified,
)
from tests.issuers import claims, encoded, raw_token, token


class FormTests(SynchronousTestCase):
    def test_jwts(self) -> None:
        """A JWT is one whether anybody has signed it or not."""
        for text in (
            token(claims()),
            raw_token({"alg": "none"}, claims(), b""),
            raw_token({}, {}),
            raw_token({"alg": ["x"]}, {"iss": 7}),
        ):
            self.assertIsNotNone(parse_unverified(text), text)
        unverified = parse_unverified(token(claims()))
        assert unverified is not None
        self.assertEqual(unverified.issuer, "https://issuer.test")

    def test_others(self) -> None:
        """Passwords, other tokens and our own are none."""
        for text in (
            "",
            "secret",
            "a.b.c",
            "dckr_pat_abc",
            f"{encoded(b'{}')}.{encoded(b'[]')}.x",
            f"{encoded(b'[' * 50_000)}.{encoded(b'{}')}.x",
            f"{encoded(b'{}')}.{encoded(b'{}')}.x.y.z",
            token(claims()) + "\n",
            token(claims(iss="regbroker registry.test")),
        ):
            self.assertIsNone(parse_unverified(text), text)

    def test_objects(self) -> None:
        """An object that two parsers may read in two ways is none."""
        self.assertEqual(parse_jwt_object(b' {"a": {"b": [1]}} '), {"a": {"b": [1]}})
        for text in (
            '{"repository": "acme/app", "repository": "evil/app"}',
            '{"a": {"b": 1, "c": 2, "b": 1}}',
            '{"exp": NaN}',
            '{"exp": [-Infinity]}',
            "[]",
            "7",
            '{"a": ' + "9" * 5000 + "}",
            '{"a": ' + "[" * 10_000 + "]" * 10_000 + "}",
        ):
            self.assertIsNone(parse_jwt_object(text.encode()), text[:80])
        for encoding in ("utf-16", "utf-32", "utf-8-sig", "utf-16-le"):
            self.assertIsNone(parse_jwt_object('{"a": "b"}'.encode(encoding)), encoding)
        self.assertIsNone(parse_jwt_object(b'{"a": "\xff"}'))

    def test_depth(self) -> None:
        """Values lie in each other so deep that everybody can go through them."""
        for opening, closing in (("[", "]"), ('{"x":', "}")):
            for depth, is_taken in ((MAX_DEPTH - 1, True), (MAX_DEPTH, False)):
                inner = opening * depth + "7" + closing * depth
                document = parse_jwt_object(f'{{"a": {inner}}}'.encode())
                self.assertEqual(document is not None, is_taken, (opening, depth))
        # Many beside each other are not deep.
        wide = parse_jwt_object(
            json.dumps({"a": [{"b": [n]} for n in range(99)]}).encode()
        )
        self.assertIsNotNone(wide)

    def test_ours(self) -> None:
        """Our own are known by what they say of themselves."""
        self.assertTrue(is_ours(token(claims(iss="regbroker registry.test"))))
        for text in (token(claims()), raw_token({}, {"iss": 7}), "", "secret", "a.b.c"):
            self.assertFalse(is_ours(text), text)
