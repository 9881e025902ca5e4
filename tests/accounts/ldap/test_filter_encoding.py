"""Filters as ldaptor sends them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.filter_encoding import wire_filter
from regbroker.accounts.ldap.filters import parse_filter


class FilterTests(SynchronousTestCase):
    def test_wire(self) -> None:
        """Filters go out as ldaptor reads them back, values byte by byte."""
        for text, expected in (
            ("(cn=*)", b"\x87\x02cn"),
            (r"(cn=\c3\bc\2a)", b"\xa3\x09\x04\x02cn\x04\x03\xc3\xbc*"),
            ("(cn=)", b"\xa3\x06\x04\x02cn\x04\x00"),
            ("(cn~=a)", b"\xa8\x07\x04\x02cn\x04\x01a"),
            ("(cn>=a)", b"\xa5\x07\x04\x02cn\x04\x01a"),
            ("(cn<=a)", b"\xa6\x07\x04\x02cn\x04\x01a"),
            ("(cn=a*b*c)", b"\xa4\x0f\x04\x02cn0\x09\x80\x01a\x81\x01b\x82\x01c"),
            ("(cn=*b*)", b"\xa4\x09\x04\x02cn0\x03\x81\x01b"),
            ("(cn:=a)", b"\xa9\x07\x82\x02cn\x83\x01a"),
            ("(cn:dn:2.5:=a)", b"\xa9\x0f\x81\x032.5\x82\x02cn\x83\x01a\x84\x01\xff"),
            ("(!(cn=*))", b"\xa2\x04\x87\x02cn"),
            ("(&(a=*)(b=*))", b"\xa0\x06\x87\x01a\x87\x01b"),
            ("(|)", b"\xa1\x00"),
        ):
            self.assertEqual(wire_filter(parse_filter(text)).toWire(), expected, text)
