"""Options that name other sections."""

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.invalid import InvalidValue
from regbroker.settings.references import (
    mapping,
    one_of_sections,
    registry_accounts,
    some_sections,
)


class ReferenceCase(SynchronousTestCase):
    def assert_wrong(
        self, parse: Callable[[str], Any], text: str, expected: str
    ) -> None:
        """Hold that a text is no value, and what the problem says."""
        self.assertEqual(str(self.assertRaises(InvalidValue, parse, text)), expected)


class SectionTests(ReferenceCase):
    def test_one(self) -> None:
        """The name of a section that there is."""
        parse = one_of_sections("access", ["b", "a"])
        self.assertEqual(parse("a"), "a")
        self.assert_wrong(parse, "c", "there is no [access c] section; there are: a, b")
        self.assert_wrong(parse, "", "empty; name an [access NAME] section")
        self.assert_wrong(
            one_of_sections("access", ()),
            "c",
            "there is no [access c] section; there are: none yet",
        )

    def test_some(self) -> None:
        """Names by commas, spaces or lines, in their order, each once."""
        parse = some_sections("upstream", ["a", "b"])
        self.assertEqual(parse("b,\n a"), ("b", "a"))
        self.assert_wrong(parse, "a a", "'a' stands twice; once is right")
        self.assert_wrong(parse, " ,", "empty; name an [upstream NAME] section")


class AccountsTests(ReferenceCase):
    parse = staticmethod(
        registry_accounts(["staff", "old"], ["ci"], ["a", "b", "c"], ["a", "b"])
    )

    def test_right(self) -> None:
        """A section, the upstream's accounts, or those of some upstreams."""
        self.assertEqual(self.parse("staff"), ("staff", (), (), "staff"))
        self.assertEqual(self.parse("upstream"), ("upstream", (), (), ""))
        self.assertEqual(self.parse("upstream: b, a"), ("upstream", ("b", "a"), (), ""))

    def test_several(self) -> None:
        """Identities stand beside one section with passwords, or alone."""
        self.assertEqual(self.parse("staff, ci"), ("staff", (), ("ci",), "staff"))
        self.assertEqual(self.parse("ci"), ("", (), ("ci",), "ci"))
        self.assert_wrong(
            self.parse,
            "staff, old",
            "staff and old both hold passwords; write all their sources into one "
            "[accounts NAME] section",
        )
        self.assert_wrong(self.parse, "ci, ci", "'ci' stands twice; once is right")

    def test_wrong(self) -> None:
        """No password goes to an upstream that no rule leads to."""
        self.assert_wrong(
            self.parse,
            "upstream: a, c",
            "no rule leads to 'c'; take it out, or name it in a rule",
        )


class MappingTests(ReferenceCase):
    def parse(self, text: str) -> Any:
        return mapping(text, ["a"], ["a", "b"], {"a": "library"})

    def test_right(self) -> None:
        """Rules lead to the registry's upstreams, and to those that they name."""
        rules = self.parse("* = *\n x/* = b:*")
        self.assertEqual(rules.upstreams, ("a", "b"))
        self.assertEqual(rules.route("nginx").upstream_name, "library/nginx")

    def test_wrong(self) -> None:
        """Each rule that is wrong is quoted, in one text."""
        self.assert_wrong(
            self.parse,
            "a\nx/* = c:*",
            "'a' is not 'public = upstream'; 'x/* = c:*': there is no [upstream c] "
            "section; there are: a, b",
        )
