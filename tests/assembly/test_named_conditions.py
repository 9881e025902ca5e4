"""Named conditions, with the extra and without it."""

from __future__ import annotations

import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.users import parse_template
from regbroker.assembly.named_conditions import (
    named_conditions,
    unknown_conditions,
    written_conditions,
)
from regbroker.errors import ConfigurationError
from regbroker.settings.config import IdentityConfig


class ConditionTests(SynchronousTestCase):
    def entry(self, **conditions: str) -> IdentityConfig:
        return IdentityConfig(
            name="ci",
            issuer="https://issuer.test",
            audience=("a",),
            user=parse_template("ci:${sub}"),
            conditions=conditions,
        )

    def hide_library(self) -> None:
        """Have the library seem not to be installed."""
        before = dict(sys.modules)
        self.addCleanup(sys.modules.update, before)
        self.addCleanup(sys.modules.pop, "celpy", None)
        sys.modules.pop("regbroker.accounts.identity.cel", None)
        hidden: Any = None
        sys.modules["celpy"] = hidden

    def test_none(self) -> None:
        """Without conditions the extra is not needed."""
        self.hide_library()
        self.assertEqual(named_conditions(self.entry())({}), frozenset())

    def test_some(self) -> None:
        """They are what their expressions say."""
        named = named_conditions(self.entry(tag="claims.ref == 'x'"))
        self.assertEqual(named({"ref": "x"}), {"tag"})

    def test_unknown(self) -> None:
        """Those are named that a token's claims leave open."""
        entry = self.entry(tag="claims.ref == 'x'", rerun="claims.run > 1")
        claims: dict[str, object] = {"run": 7}
        unknown = {"tag": "'ref' is missing"}
        self.assertEqual(unknown_conditions(entry, claims), unknown)
        self.assertEqual(unknown_conditions(self.entry(), claims), {})

    def test_written(self) -> None:
        """For claims in a line, a number counts as one, and objects are there."""
        entry = self.entry(
            tag="claims.ref == 'x'",
            rerun="claims.run > 1",
            build="claims['k8s.io'].namespace == 'build'",
            project="claims.project == '20' && claims.run > 1",
            truth="claims.truth == true",
        )
        claims: dict[str, object] = {
            "run": "7",
            "project": "20",
            "k8s.io.namespace": "build",
            "truth": "true",
        }
        self.assertEqual(
            written_conditions(entry, claims),
            {
                "tag": "'ref' is missing",
                "rerun": True,
                "build": True,
                "project": True,
                "truth": "it depends on whether a claim is a text",
            },
        )
        outcomes = written_conditions(entry, {**claims, "run": "0", "ref": "y"})
        self.assertEqual([outcomes["rerun"], outcomes["tag"]], [False, False])
        self.hide_library()
        self.assertEqual(written_conditions(self.entry(), claims), {})

    def test_wrong(self) -> None:
        """What is no expression is a problem of the section."""
        with self.assertRaises(ConfigurationError) as caught:
            named_conditions(self.entry(tag="claims ="))
        (problem,) = caught.exception.problems
        self.assertTrue(problem.startswith("[identity ci] conditions: tag: "), problem)

    def test_without_the_extra(self) -> None:
        """The problem names what to install."""
        self.hide_library()
        with self.assertRaises(ConfigurationError) as caught:
            named_conditions(self.entry(tag="true"))
        self.assertEqual(
            caught.exception.problems,
            ("[identity ci] conditions: need cel-python; install regbroker[cel]",),
        )
