"""Distinguished names: which are the same, which is below which."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.names import (
    is_below,
    own_value,
    parse_name,
)


class NameTests(SynchronousTestCase):
    def test_alike(self) -> None:
        """Case, blanks and escapes make no other name."""
        for one, other in (
            ("ou=People,dc=Example", "OU = people , DC=example"),
            (r"cn=a\,b", r"cn=a\2Cb"),
            (r"cn=\C3\BC", "cn=ü"),
            ("cn=a+sn=b,dc=x", "sn=b+cn=a,dc=x"),
            ("cn=a  b", "cn=a b"),
            ("dc=a;dc=b", "dc=a,dc=b"),
        ):
            self.assertEqual(parse_name(one), parse_name(other), one)

    def test_below(self) -> None:
        """A name is below another by its parts, not by its text."""
        base = parse_name("ou=groups,dc=example,dc=com")
        for text, below in (
            ("ou=groups,dc=example,dc=com", True),
            ("cn=x,OU=Groups, dc=example,dc=com", True),
            (r"cn=x\,ou=groups,dc=example,dc=com", False),
            ("cn=x,xou=groups,dc=example,dc=com", False),
            ("dc=example,dc=com", False),
            ("", False),
        ):
            self.assertEqual(is_below(parse_name(text), base), below, text)
        self.assertTrue(is_below(base, parse_name("")))

    def test_own_value(self) -> None:
        """The first part's first value, as it is meant."""
        for text, value in (
            ("cn=Domain Admins,cn=Users,dc=x", "Domain Admins"),
            (r"cn=a\,b\2a\C3\BC ,dc=x", "a,b*ü"),
            (r"cn=a\ ,dc=x", "a "),
            ("cn=first+sn=second,dc=x", "first"),
            ("", ""),
        ):
            self.assertEqual(own_value(text), value, text)

    def test_wrong(self) -> None:
        """What is no name."""
        for text in ("x", "cn", "cn=a,", ",cn=a", "cn=a,,cn=b", 'cn="a"', r"cn=a\z"):
            with self.assertRaisesRegex(ValueError, "no distinguished name such as"):
                parse_name(text)
