"""An issuer, asked for its keys."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.issuer import (
    KEYS_SECONDS,
    MAX_KEYS_SECONDS,
    MIN_KEYS_SECONDS,
    Fetched,
    FetchedKeys,
    Issuer,
    IssuerFailed,
    lifetime,
)
from tests.issuers import ISSUER, ec_key, jwk, jwks

DISCOVERY = f"{ISSUER}/.well-known/openid-configuration"
KEYS = f"{ISSUER}/keys"


class IssuerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.documents: dict[str, Fetched] = {KEYS: Fetched(200, jwks(jwk(ec_key())))}
        self.asked: list[str] = []
        self.discover()

    def discover(self, **changed: Any) -> None:
        """Have the issuer say where its keys are."""
        document = {"issuer": ISSUER, "jwks_uri": KEYS, **changed}
        self.documents[DISCOVERY] = Fetched(200, json.dumps(document).encode())

    async def fetch(self, url: str) -> Fetched:
        self.asked.append(url)
        return self.documents.get(url, Fetched(404, b""))

    def keys(self, url: str | None = None, issuer: str = ISSUER) -> FetchedKeys:
        asking = Deferred.fromCoroutine(Issuer(issuer, url, self.fetch).keys())
        fetched: FetchedKeys = self.successResultOf(asking)
        return fetched

    def problem(self, issuer: str = ISSUER) -> str:
        asking = Deferred.fromCoroutine(Issuer(issuer, None, self.fetch).keys())
        return str(self.failureResultOf(asking, IssuerFailed).value)

    def test_discovery(self) -> None:
        """The issuer says where its keys are, each time."""
        self.assertEqual(self.keys().keys.keys[0].kid, "k1")
        self.assertEqual(self.asked, [DISCOVERY, KEYS])

    def test_url(self) -> None:
        """With the URL of the keys nothing else is asked."""
        self.keys(KEYS)
        self.assertEqual(self.asked, [KEYS])

    def test_issuer_with_slash(self) -> None:
        """An issuer's name may end with a slash, as Auth0's do."""
        self.discover(issuer=ISSUER + "/")
        self.keys(issuer=ISSUER + "/")
        self.assertIn("it is for the issuer", self.problem())

    def test_wrong(self) -> None:
        """What is no discovery document, or one of somebody else, is refused."""
        for changed, reason in (
            ({"issuer": "https://evil.test"}, "it is for the issuer"),
            ({"issuer": None}, "it is for the issuer"),
            ({"jwks_uri": "http://issuer.test/keys"}, "no https URL"),
            ({"jwks_uri": "file:///etc/passwd"}, "no https URL"),
            ({"jwks_uri": ["https://issuer.test/keys"]}, "no https URL"),
            ({"jwks_uri": "https://issuer.test/missing"}, "status 404"),
            ({"jwks_uri": DISCOVERY}, "no set of keys"),
        ):
            self.discover(**changed)
            self.assertIn(reason, self.problem())
        for body in (b"", b"[]", b"[" * 100_000):
            self.documents[DISCOVERY] = Fetched(200, body)
            self.assertIn("no JSON object", self.problem())

    def test_lifetime(self) -> None:
        """Cache-Control says how long keys count, within bounds."""
        for text, seconds in (
            ("", KEYS_SECONDS),
            ("no-store", KEYS_SECONDS),
            ("public, max-age=900", 900),
            ("Max-Age=5", MIN_KEYS_SECONDS),
            ("max-age=999999999", MAX_KEYS_SECONDS),
            ("s-max-age=5", KEYS_SECONDS),
        ):
            self.assertEqual(lifetime(text), seconds, text)
