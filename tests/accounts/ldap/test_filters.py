"""Filters of a search: what is understood, what is not, and what is said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.filters import (
    Filter,
    Item,
    escape_value,
    fill,
    parse_filter,
    parse_group_filter,
)
from tests.accounts.ldap.strategies import FILTERS


class FilterTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """The examples of RFC 4515, section 4, and a few more."""
        for text in (
            "(cn=Babs Jensen)",
            "(!(cn=Tim Howes))",
            "(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))",
            "(o=univ*of*mich*)",
            "(seeAlso=)",
            "(cn:caseExactMatch:=Fred Flintstone)",
            "(cn:=Betty Rubble)",
            "(sn:dn:2.4.6.8.10:=Barney Rubble)",
            "(o:dn:=Ace Industry)",
            "(:1.2.3:=Wilma Flintstone)",
            "(:DN:2.4.6.8.10:=Dino)",
            r"(o=Parens R Us \28for all your parenthetical needs\29)",
            r"(cn=*\2a*)",
            r"(filename=C:\5cMyFile)",
            r"(bin=\00\00\00\04)",
            r"(sn=Lu\c4\8di\c4\87)",
            "(1.3.6.1.4.1.1466.0=\\04\\02Hi)",
            "(member:1.2.840.113556.1.4.1941:=cn=a,dc=b)",
            "(cn;lang-de=x)",
            "(cn=*)",
            "(uidNumber>=1000)",
            "(uidNumber<=1000)",
            "(sn~=jensen)",
            "(&)",
            "(|)",
        ):
            self.assertEqual(str(parse_filter(text)), text)

    def test_text_and_escapes(self) -> None:
        """UTF-8 as it is and in escapes is the same."""
        escaped = parse_filter(r"(sn=Lu\C4\8Di\c4\87)")
        self.assertEqual(parse_filter("(sn=Lučić)"), escaped)

    def test_wrong(self) -> None:
        """Each error says what would be right."""
        for text, words in (
            ("", r"begins with '\(', not 'its end'"),
            ("cn=x", r"begins with '\('"),
            ("(cn=x", r"lacks its '\)'"),
            ("(cn=x))", r"join several as \(&"),
            ("(cn=x)(cn=y)", r"join several as \(&"),
            ("()", "write (attribute=value)".replace("(", r"\(").replace(")", r"\)")),
            ("(cn)", r"write \(attribute=value\)"),
            ("(=x)", "no attribute's name"),
            ("(:=x)", "no attribute's name"),
            ("(:dn:=x)", "no attribute's name"),
            ("(c n=x)", "no attribute's name"),
            ("(2cn=x)", "no attribute's name"),
            ("( cn=x)", "no attribute's name"),
            ("(cn=x**y)", r"write one '\*'"),
            ("(cn>=x*)", r"write \\2a"),
            ("(cn=a\\zz)", r"written as \\5c"),
            ("(cn=a\\2)", r"written as \\5c"),
            ("(cn=a(b)", r"written as \\28"),
            ("(cn=a\0b)", r"written as \\00"),
            ("(&cn=x)", "each in parentheses"),
            ("(&(cn=x)", r"lacks its '\)'"),
            ("(!(cn=x)(cn=y))", "takes one filter"),
            ("(!)", "takes one filter"),
            ("(!" * 30 + "(cn=x)" + ")" * 30, "nested more than 20"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                parse_filter(text)

    @given(FILTERS)
    def test_round_trip(self, filter: Filter) -> None:
        """What is written is what was read."""
        self.assertEqual(parse_filter(str(filter)), filter)

    @given(st.text(alphabet="(&|!)=*\\2a:~<>u ", max_size=20))
    def test_anything(self, text: str) -> None:
        """Any text is a filter or a `ValueError`."""
        try:
            parsed = parse_filter(text)
        except ValueError:
            return
        self.assertEqual(parse_filter(str(parsed)), parsed)

    @given(st.binary())
    def test_escape(self, value: bytes) -> None:
        """A value has nothing in it that means something, and can be printed."""
        escaped = escape_value(value)
        self.assertTrue(escaped.isascii() and escaped.isprintable())
        self.assertFalse(set(escaped) & set("()*\0"))
        self.assertEqual(parse_filter(f"(a={escaped})"), Item("a", "=", (value,)))


class GroupFilterTests(SynchronousTestCase):
    def test_filled(self) -> None:
        """The values go where the names were, also into pieces of a value."""
        filter = parse_group_filter("(|(member=${dn})(cn=${user}-*-${user}))")
        filled = fill(filter, {b"dn": b"cn=a*,dc=x", b"user": b"${dn})"})
        self.assertEqual(
            str(filled),
            r"(|(member=cn=a\2a,dc=x)(cn=${dn}\29-*-${dn}\29))",
        )

    def test_wrong(self) -> None:
        """Neither is forgotten, nor some other name used."""
        for text, words in (
            ("(cn=*)", r"same for all users; write \(member=\$\{dn\}\)"),
            ("(cn=$user)", "same for all users"),
            ("(cn=${uid})", r"'\$\{uid\}' is not known; write \$\{dn\} or \$\{user\}"),
            ("member=${dn}", r"begins with '\('"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                parse_group_filter(text)
