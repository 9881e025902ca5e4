"""Claims, and conditions on them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.claims import claim, parse_condition, text_of, texts_of

POD = {
    "kubernetes.io": {
        "namespace": "build",
        "serviceaccount": {"name": "kaniko", "uid": "1"},
    },
    "https://acme.test/roles": ["a", 7, True, None, {"x": 1}],
    "a.b": "whole",
    "a": {"b": "inner", "d": "alone"},
    "ref": "refs/heads/main",
    "number": 12,
    "fraction": 1.5,
    "yes": True,
    "object": {"x": "y"},
}


class ClaimTests(SynchronousTestCase):
    def test_names(self) -> None:
        """The longest name that is there counts, and objects are gone into."""
        for name, value in {
            "ref": "refs/heads/main",
            "kubernetes.io.namespace": "build",
            "kubernetes.io.serviceaccount.name": "kaniko",
            "a.b": "whole",
            "a.d": "alone",
            "a.c": None,
            "ref.x": None,
            "none": None,
            ".ref": None,
        }.items():
            self.assertEqual(claim(POD, name), value, name)

    def test_texts(self) -> None:
        """Only what is a single value is one text; lists are several."""
        for value, text in (
            ("x", "x"),
            (12, "12"),
            (True, "true"),
            (False, "false"),
            (1.5, None),
            (None, None),
            ([], None),
            ({"x": 1}, None),
            (10**5000, None),
        ):
            self.assertEqual(text_of(value), text)
        self.assertEqual(texts_of(POD["https://acme.test/roles"]), ("a", "7", "true"))
        self.assertEqual(texts_of({"x": "y"}), ())


class ConditionTests(SynchronousTestCase):
    def holds(self, text: str, *named: str) -> bool:
        return parse_condition(text).holds(POD, frozenset(named))

    def test_holds(self) -> None:
        """Equal texts, globs, one of several, one of a list, numbers and truth."""
        for text in (
            "ref=refs/heads/main",
            "ref = refs/heads/*",
            "ref=refs/tags/*|refs/heads/main",
            "kubernetes.io.namespace=build",
            "https://acme.test/roles=7",
            "number=12",
            "yes=true",
            "ref=*",
        ):
            self.assertTrue(self.holds(text), text)

    def test_holds_not(self) -> None:
        """What is not there, is another text, or is no text, fulfils nothing."""
        for text in (
            "ref=refs/heads/Main",
            "ref=refs/heads",
            "none=*",
            "object=*",
            "fraction=1.5",
            "https://acme.test/roles=None",
        ):
            self.assertFalse(self.holds(text), text)

    def test_named(self) -> None:
        """A name alone is a condition of the identity's section."""
        self.assertTrue(self.holds("release", "release"))
        self.assertFalse(self.holds("release"))
        # It is no claim.
        self.assertFalse(self.holds("ref"))

    def test_written(self) -> None:
        """A condition is printed as it is written."""
        for text in ("ref=a|b*", "release"):
            self.assertEqual(str(parse_condition(text)), text)

    def test_wrong(self) -> None:
        """What is no condition is refused."""
        for text in ("=x", "ref=", "ref=a||b", "a b=c", "!ref=x", ""):
            with self.assertRaises(ValueError, msg=text):
                parse_condition(text)
