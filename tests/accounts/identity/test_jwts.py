"""What has the form of a JWT."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.jwts import is_ours, parse_unverified
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

    def test_ours(self) -> None:
        """Our own are known by what they say of themselves."""
        self.assertTrue(is_ours(token(claims(iss="regbroker registry.test"))))
        for text in (token(claims()), raw_token({}, {"iss": 7}), "", "secret", "a.b.c"):
            self.assertFalse(is_ours(text), text)
