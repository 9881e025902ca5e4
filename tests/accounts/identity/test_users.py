"""Names made of claims."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.users import (
    UnfitClaim,
    parse_group_template,
    parse_template,
)

#: Also halves of characters, which JSON may hold.
texts = st.text(st.characters(exclude_categories=()), min_size=1, max_size=12)


class UserTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Usual claims are in the name as they are; odd ones are escaped."""
        for template, claims, name in (
            ("ci:${repository}", {"repository": "acme/app"}, "ci:acme/app"),
            ("gh:${sub}", {"sub": "repo:a/b:ref:r"}, "gh:repo:a/b:ref:r"),
            ("k:${a.b}", {"a": {"b": "x"}}, "k:x"),
            ("ci:${id}", {"id": 7}, "ci:7"),
            ("ci:${a}:${b}", {"a": "x:y", "b": "z"}, "ci:x%3Ay:z"),
            ("ci:${a}.${b}", {"a": "x.y", "b": "z"}, "ci:x%2Ey.z"),
            ("ci:${a}", {"a": "x\ny *é"}, "ci:x%0Ay%20%2A%C3%A9"),
            ("ci:${a}", {"a": "?"}, "ci:%3F"),
            ("ci:${a}", {"a": "\ud800"}, "ci:%ED%A0%80"),
            ("ci:${a}", {"a": "\udfff"}, "ci:%ED%BF%BF"),
        ):
            self.assertEqual(parse_template(template).name(claims), name)
            self.assertEqual(str(parse_template(template)), template)

    @given(texts, texts, texts, texts)
    def test_no_imitation(self, a: str, b: str, c: str, d: str) -> None:
        """Different claims make different names, and names that the template makes."""
        for text in ("u:${a}:${b}", "u:${a}/${b}", "u:${a}~x.${b}", "u:${a}-${b}@x"):
            template = parse_template(text)
            try:
                one = template.name({"a": a, "b": b})
                other = template.name({"a": c, "b": d})
            except UnfitClaim:
                continue
            self.assertEqual(one == other, (a, b) == (c, d))
            self.assertTrue(template.may_make(one))
            self.assertTrue(one.isascii() and one.isprintable() and " " not in one)

    def test_unfit(self) -> None:
        """What is missing, no text, or too long makes no name."""
        for claims, reason in (
            ({}, "repository is missing"),
            ({"repository": None}, "repository is missing"),
            ({"repository": ""}, "repository is no text"),
            ({"repository": ["acme/app"]}, "repository is no text"),
            ({"repository": {"x": "y"}}, "repository is no text"),
            ({"repository": "x" * 1_000_000}, "more than 256"),
            ({"repository": "*" * 100}, "more than 256"),
        ):
            with self.assertRaises(UnfitClaim) as caught:
                parse_template("ci:${repository}").name(claims)
            self.assertIn(reason, str(caught.exception))

    def test_may_make(self) -> None:
        """Only names that some claims make are those of the template."""
        template = parse_template("ci-${a}-x")
        self.assertTrue(template.may_make("ci-y-x"))
        for name in ("ci-", "ci--x", "alice", "ci-y", "CI-y-x", "ci- -x"):
            self.assertFalse(template.may_make(name), name)

    def test_wrong(self) -> None:
        """A template says whose names are whose."""
        for text, reason in (
            ("ci", "no claim"),
            ("${sub}", "begins with a claim"),
            ("ci:${a}${b}", "between two claims"),
            ("ci:${a}x${b}", "between two claims"),
            ("ci ${a}", "not understood"),
            ("ci:${a}%41", "not understood"),
            ("ci:${a b}", "no claim"),
        ):
            with self.assertRaises(ValueError) as caught:
                parse_template(text)
            self.assertIn(reason, str(caught.exception))


class GroupTests(SynchronousTestCase):
    def test_lists(self) -> None:
        """A list makes a group of each text; what is not there makes none."""
        template = parse_group_template("team:${groups}")
        made = template.names({"groups": ["a", "b/c", 1, None, {"x": 1}, ""]})
        self.assertEqual(made, {"team:a", "team:b/c", "team:1"})
        self.assertEqual(template.names({}), frozenset())
        self.assertEqual(template.names({"groups": "a"}), {"team:a"})
        with self.assertRaises(UnfitClaim):
            template.names({"groups": [str(n) for n in range(1000)]})

    def test_one_claim(self) -> None:
        """A group is made of one claim."""
        with self.assertRaises(ValueError):
            parse_group_template("x:${a}:${b}")
