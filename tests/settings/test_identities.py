"""The values of options of [identity NAME]."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings import identities
from regbroker.settings.invalid import InvalidValue


class ValueTests(SynchronousTestCase):
    def assert_wrong(self, parse: Callable[[str], Any], *texts: str) -> None:
        for text in texts:
            with self.assertRaises(InvalidValue, msg=text):
                parse(text)

    def test_issuer(self) -> None:
        """An https URL, byte for byte."""
        for text in ("https://a.test", "https://a.test/", "https://a.test:1/x"):
            self.assertEqual(identities.issuer(text), text)
        self.assert_wrong(
            identities.issuer, "", "a.test", "http://a.test", "https://a.test?x=y"
        )

    def test_audience(self) -> None:
        """One or several, each once."""
        self.assertEqual(identities.audience("a, b\n a"), ("a", "b"))
        self.assert_wrong(identities.audience, "", " , ")

    def test_keys(self) -> None:
        """A path or a URL."""
        self.assertEqual(identities.keys("keys.json"), PurePath("keys.json"))
        self.assertEqual(identities.keys("/k"), PurePath("/k"))
        self.assertEqual(identities.keys("https://a.test/k"), "https://a.test/k")
        self.assert_wrong(identities.keys, "", "http://a.test/k", "file:///k")

    def test_algorithms(self) -> None:
        """Those that somebody has signed with."""
        self.assertEqual(identities.algorithms("RS256 PS512"), ("RS256", "PS512"))
        self.assert_wrong(identities.algorithms, "", "none", "HS256", "rs256", "ES256K")

    def test_leeway(self) -> None:
        """A few seconds."""
        self.assertEqual(identities.leeway("0"), 0.0)
        self.assert_wrong(identities.leeway, "", "-1", "301", "1.5", "ten")

    def test_required_claims(self) -> None:
        """Conditions with a text each."""
        parsed = identities.required_claims("a=b,\nc=d|e\n")
        self.assertEqual([str(each) for each in parsed], ["a=b", "c=d|e"])
        self.assert_wrong(identities.required_claims, "a", "a=", "=b")

    def test_templates(self) -> None:
        """Users and groups are made of claims."""
        self.assertEqual(str(identities.user("ci:${a}:${b}")), "ci:${a}:${b}")
        self.assertEqual(len(identities.groups("x:${a}\n y:${b}")), 2)
        self.assert_wrong(identities.user, "", "ci", "${a}")
        self.assert_wrong(identities.groups, "x", "x:${a}:${b}")

    def test_conditions(self) -> None:
        """Names and expressions."""
        self.assertEqual(
            identities.conditions("a = claims.x == 'y'\n b=true"),
            {"a": "claims.x == 'y'", "b": "true"},
        )
        self.assert_wrong(
            identities.conditions, "a", "a =", "= x", "a b = x", "a=x\na=y"
        )
