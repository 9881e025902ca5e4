"""JWK sets."""

from __future__ import annotations

import json
from typing import Any

import jwt
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.keys import MAX_BYTES, MAX_KEYS, parse_key_set
from tests.issuers import ec_key, ed_key, jwk, jwks, rsa_key


class KeySetTests(SynchronousTestCase):
    def kids(self, *entries: Any) -> list[str | None]:
        """The kids of those that can be used, beside one that can."""
        keys = parse_key_set(jwks(jwk(ec_key(), "good"), *entries))
        self.assertEqual(keys.left_out, 1 + len(entries) - len(keys.keys))
        return [each.kid for each in keys.keys[1:]]

    def test_kinds(self) -> None:
        """RSA, elliptic curves and Ed25519, each for its own algorithms."""
        keys = parse_key_set(
            jwks(jwk(rsa_key(), "r"), jwk(ec_key(), "e"), jwk(ed_key(), "d"))
        )
        for kid, algorithm in (("r", "RS256"), ("r", "PS512"), ("e", "ES256")):
            self.assertEqual(len(keys.find(kid, algorithm)), 1)
        self.assertEqual(len(keys.find("d", "EdDSA")), 1)
        for kid, algorithm in (("r", "ES256"), ("e", "RS256"), ("e", "ES384")):
            self.assertEqual(keys.find(kid, algorithm), ())
        for algorithm in ("HS256", "none", "EdDSA"):
            self.assertEqual(keys.find("r", algorithm), ())

    def test_without_kid(self) -> None:
        """Without a kid, all keys that fit are candidates."""
        keys = parse_key_set(jwks(jwk(ec_key("a"), None), jwk(ec_key("b"), "b")))
        self.assertEqual(len(keys.find(None, "ES256")), 2)
        self.assertEqual(keys.find("x", "ES256"), ())
        many = parse_key_set(jwks(*(jwk(ec_key(), str(n)) for n in range(5))))
        self.assertEqual(many.find(None, "ES256"), ())

    def test_alg(self) -> None:
        """A key that names its algorithm is good for no other."""
        keys = parse_key_set(jwks(jwk(rsa_key(), "r", alg="RS256")))
        self.assertEqual(len(keys.find("r", "RS256")), 1)
        self.assertEqual(keys.find("r", "RS512"), ())

    def test_left_out(self) -> None:
        """Keys for something else, secret ones, weak ones and nonsense do not count."""
        private = jwt.algorithms.ECAlgorithm.to_jwk(ec_key(), as_dict=True)
        for entry in (
            jwk(ec_key(), "x", use="enc"),
            jwk(ec_key(), "x", key_ops=["sign"]),
            jwk(ec_key(), "x", alg="HS256"),
            jwk(ec_key(), "x", alg=["ES256"]),
            {**private, "kid": "x"},
            {"kty": "oct", "k": "c2VjcmV0", "kid": "x", "alg": "HS256"},
            jwk(rsa_key("weak", 1024), "x"),
            {**jwk(ec_key()), "kid": 7},
            {**jwk(ec_key()), "x": "AAAA"},
            {"kty": "EC", "crv": "P-999"},
            {"kty": ["EC"]},
            "text",
            None,
        ):
            self.assertEqual(self.kids(entry), [], entry)

    def test_most_keys(self) -> None:
        """So many keys may be in a set, and no more."""
        keys = parse_key_set(json.dumps({"keys": [jwk(ec_key())] * MAX_KEYS}).encode())
        self.assertEqual(len(keys.keys), MAX_KEYS)

    def test_wrong(self) -> None:
        """What is no set is refused, and so is a large one, before it is parsed."""
        for contents, reason in (
            (b"", "no JSON"),
            (b"[" * 100_000, "no JSON"),
            (b"[]", "no set of keys"),
            (b'{"keys": {}}', "no set of keys"),
            (b'{"keys": []}', "no key in the set"),
            (json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode(), "more than"),
            (b" " * (MAX_BYTES + 1), "more than"),
        ):
            with self.assertRaises(ValueError) as caught:
                parse_key_set(contents)
            self.assertIn(reason, str(caught.exception))
