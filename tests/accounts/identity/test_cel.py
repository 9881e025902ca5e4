"""Named conditions in CEL."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity import cel
from regbroker.accounts.identity.cel import CelConditions

CLAIMS = {
    "ref": "refs/tags/v1.0",
    "ref_protected": "true",
    "groups": ["dev", "ops"],
    "kubernetes.io": {"namespace": "build"},
    "run": 7,
    "yes": True,
    "nothing": None,
    "fraction": 1.5,
}


class ConditionTests(SynchronousTestCase):
    def holds(self, expression: str, **more: object) -> bool:
        return "x" in CelConditions({"x": expression})({**CLAIMS, **more})

    def test_holds(self) -> None:
        """Texts, lists, objects, numbers, and regular expressions."""
        for expression in (
            "claims.ref.startsWith('refs/tags/v')",
            "claims.ref.matches('^refs/tags/v[0-9.]+$') && claims.run > 3",
            "'ops' in claims.groups",
            "claims.groups.exists(g, g.startsWith('d'))",
            "claims['kubernetes.io'].namespace == 'build'",
            "claims.yes",
            "!has(claims.missing)",
            "claims.missing == 'x' || claims.yes",
            "true",
        ):
            self.assertTrue(self.holds(expression), expression)

    def test_holds_not(self) -> None:
        """What is false, is no truth, or cannot be worked out, does not hold."""
        for expression in (
            "false",
            "claims.missing == 'x'",
            "!(claims.missing == 'x')",
            "claims.ref",
            "claims.run",
            "claims.groups",
            "claims.ref > 5",
            "claims.run / 0 == 1",
            "claims.nothing",
            "claims.ref.missing",
        ):
            self.assertFalse(self.holds(expression), expression)

    def test_loops_are_bounded(self) -> None:
        """Lists of an issuer make no expression take long; it does not hold then."""
        self.patch(cel, "MAX_TURNS", 40)
        for loop in (
            "claims.groups.exists(g, true)",
            "claims.groups.all(g, true)",
            "claims.groups.map(g, g).size() > 0",
            "claims.groups.filter(g, true).size() > 0",
            "claims.groups.reduce(a, g, true, a)",
            "!claims.groups.exists(a, [1, 2].exists(b, b == 3)) || true",
        ):
            turns = 3 if "[1, 2]" in loop else 1
            few, many = ["g"] * (40 // turns), ["g"] * (40 // turns + 1)
            self.assertTrue(self.holds(loop, groups=few), loop)
            conditions = CelConditions({"x": loop, "y": f"{loop} || claims.yes"})
            self.assertEqual(
                conditions.outcomes({**CLAIMS, "groups": many}),
                dict.fromkeys("xy", "its loops have more than 40 turns"),
            )
        # What asks for one value is no loop.
        self.assertTrue(self.holds("'x' in claims.groups", groups=["g"] * 100 + ["x"]))

    def test_outcomes(self) -> None:
        """Why a condition cannot be worked out is said, as far as it is known."""
        outcomes = CelConditions(
            {
                "true": "claims.yes",
                "false": "claims.run == 8",
                "missing": "claims.missing == 'x'",
                "inside": "claims['kubernetes.io'].pod == 'x'",
                "object": "claims['none'].pod == 'x'",
                "type": "claims.run.startsWith('7')",
                "other type": "claims.ref > 5",
                "text": "claims.ref",
                "null": "claims.nothing",
                "division": "claims.run / 0 == 1",
            }
        ).outcomes(CLAIMS)
        of_type = "a claim is missing, or of another type than it wants"
        self.assertEqual(
            outcomes,
            {
                "true": True,
                "false": False,
                "missing": "'missing' is missing",
                "inside": "'pod' is missing",
                "object": "'none' is missing",
                "type": of_type,
                "other type": of_type,
                "text": "it is neither true nor false",
                "null": "it is neither true nor false",
                "division": "it fails",
            },
        )
        odd = CelConditions({"x": "true"}).outcomes({"big": 10**30})
        self.assertEqual(odd, {"x": "a claim has a value that CEL cannot hold"})

    def test_odd_claims(self) -> None:
        """Claims that CEL has no values for fulfil nothing, whatever is asked."""
        self.assertFalse(self.holds("true", big=10**30))

    def test_slow_expression(self) -> None:
        """A regular expression that others take long for is done with soon."""
        self.assertFalse(
            self.holds("claims.ref.matches('^(a+)+$')", ref="a" * 30 + "b")
        )

    def test_several(self) -> None:
        """Each condition is on its own."""
        conditions = CelConditions(
            {"tag": "claims.ref.startsWith('refs/tags/')", "main": "claims.ref == 'm'"}
        )
        self.assertEqual(conditions(CLAIMS), {"tag"})

    def test_wrong(self) -> None:
        """What is no expression, or is not about claims, is named."""
        for expression, reason in (
            ("claims.", "no CEL expression"),
            ("claims.ref = 'x'", "no CEL expression"),
            ("(", "no CEL expression"),
            ("ref == 'x'", "write claims.NAME"),
        ):
            with self.assertRaises(ValueError) as caught:
                CelConditions({"x": expression})
            self.assertIn(reason, str(caught.exception))
            self.assertTrue(str(caught.exception).startswith("x: "))
