"""LDAP URLs, filters and names: what is understood, what is not, and what is said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.url import (
    ANY_ENTRY,
    Compound,
    Filter,
    Item,
    LdapUrl,
    escape_value,
    fill,
    is_below,
    own_value,
    parse_filter,
    parse_group_filter,
    parse_ldap_url,
    parse_name,
)

POSIX = Item("objectclass", "=", (b"posixAccount",))

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)
PIECES = st.lists(st.binary(min_size=1, max_size=6), max_size=3)
SUBSTRINGS = st.builds(
    lambda first, middle, last: (first, *middle, last), st.binary(), PIECES, st.binary()
)
ITEMS = st.one_of(
    st.builds(
        lambda name, operator, value: Item(name, operator, (value,)),
        NAMES,
        st.sampled_from(["=", "~=", ">=", "<=", ":="]),
        st.binary(),
    ),
    st.builds(lambda name, pieces: Item(name, "=", pieces), NAMES, SUBSTRINGS),
)
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    ITEMS,
    lambda inner: st.one_of(
        st.builds(
            Compound, st.sampled_from("&|"), st.lists(inner, max_size=3).map(tuple)
        ),
        st.builds(lambda one: Compound("!", (one,)), inner),
    ),
    max_leaves=8,
)


class UrlTests(SynchronousTestCase):
    def test_all_parts(self) -> None:
        """The form that nginx's and Apache's modules take."""
        url = parse_ldap_url(
            "ldaps://Dir.Example.com/ou=people,dc=example,dc=com"
            "?uid?sub?(objectclass=posixAccount)"
        )
        base = "ou=people,dc=example,dc=com"
        self.assertEqual(
            url, LdapUrl("ldaps", "dir.example.com", 636, base, "uid", "sub", POSIX)
        )

    def test_what_is_left_out(self) -> None:
        """Ports by scheme, uid, everything below, any entry."""
        for text, expected in (
            ("ldap://h/", LdapUrl("ldap", "h", 389, "")),
            ("LDAPS://h", LdapUrl("ldaps", "h", 636, "")),
            ("ldap://h:3268/dc=x", LdapUrl("ldap", "h", 3268, "dc=x")),
            ("ldap://[2001:DB8::1]:636/", LdapUrl("ldap", "2001:db8::1", 636, "")),
            ("ldap://h/dc=x???", LdapUrl("ldap", "h", 389, "dc=x")),
            ("ldap://h/dc=x????", LdapUrl("ldap", "h", 389, "dc=x")),
            ("ldap://h/dc=x?mail", LdapUrl("ldap", "h", 389, "dc=x", "mail")),
            ("ldap://h/dc=x??ONE", LdapUrl("ldap", "h", 389, "dc=x", scope="one")),
            (
                "ldap://h/dc=x???(objectclass=posixAccount)",
                LdapUrl("ldap", "h", 389, "dc=x", filter=POSIX),
            ),
        ):
            self.assertEqual(parse_ldap_url(text), expected, text)

    def test_percent(self) -> None:
        """What does not go into a URL, percent-encoded, or as it is where it can."""
        for text in ("ldap://h/o=A%20%C3%BC%3f", "ldap://h/o=A ü%3F"):
            self.assertEqual(parse_ldap_url(text).base, "o=A ü?", text)
        url = parse_ldap_url("ldap://h/o=x???(cn=100%25%5c28)")
        self.assertEqual(url.filter, Item("cn", "=", (b"100%(",)))

    def test_wrong(self) -> None:
        """Each error says what would be right."""
        for text, words in (
            ("", "write ldaps://HOST/"),
            ("dir.example.com", "write ldaps://HOST/"),
            ("http://h/", "write ldaps://HOST/"),
            ("ldapi://%2Fvar%2Frun%2Fldapi/", "write ldaps://HOST/"),
            ("ldap:///dc=x", "write HOST, HOST:PORT"),
            ("ldap://h:0/", "write HOST, HOST:PORT"),
            ("ldap://h:65536/", "write HOST, HOST:PORT"),
            ("ldap://h:x/", "write HOST, HOST:PORT"),
            ("ldap://2001:db8::1/", r"or \[IPv6\]"),
            ("ldap://a b/", "write HOST, HOST:PORT"),
            ("ldap://cn=me:secret@h/", "its password in a file"),
            ("ldap://h/people", "such as ou=people,dc=example"),
            ("ldap://h/dc=x,", "such as ou=people,dc=example"),
            ("ldap://h/dc=%zz", "write %25 for '%'"),
            ("ldap://h/dc=%FF", "not UTF-8"),
            ("ldap://h/dc=x?uid,mail", "name of one attribute"),
            ("ldap://h/dc=x?*", "name of one attribute"),
            ("ldap://h/dc=x?uid?all", "write sub, one or base"),
            ("ldap://h/dc=x?uid?sub?objectclass=*", r"begins with '\('"),
            ("ldap://h/dc=x?uid?sub?(cn=a?b)", "write %3f"),
            ("ldap://h/dc=x?uid?sub??!x-critical", "extensions are not known"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                parse_ldap_url(text)

    def test_no_password_in_errors(self) -> None:
        """What looks like an account is not repeated."""
        with self.assertRaises(ValueError) as caught:
            parse_ldap_url("ldap://me:hunter2@h/")
        self.assertNotIn("hunter2", str(caught.exception))

    @given(
        scheme=st.sampled_from(["ldap", "ldaps"]),
        host=st.sampled_from(["h", "dir.example.com", "10.0.0.1", "2001:db8::1"]),
        port=st.integers(1, 65535),
        base=st.sampled_from(["", "dc=x", "ou=a b,dc=ü", r"cn=a\,b?%+sn=\C3\BC"]),
        attribute=NAMES,
        scope=st.sampled_from(["base", "one", "sub"]),
        filter=FILTERS,
    )
    def test_round_trip(self, **parts: object) -> None:
        """What is written is what was read."""
        url = LdapUrl(**parts)  # type: ignore[arg-type]
        self.assertEqual(parse_ldap_url(str(url)), url)

    def test_user_filter(self) -> None:
        """What a user types is a value, whatever it looks like."""
        url = parse_ldap_url("ldap://h/dc=x?uid??(objectclass=posixAccount)")
        for user, text in (
            ("alice", "alice"),
            (r"we(ir)d*user\,", r"we\28ir\29d\2auser\5c,"),
            ("*)(uid=*", r"\2a\29\28uid=\2a"),
            ("ü\0", r"\c3\bc\00"),
            ("${user}", "${user}"),
        ):
            filter = url.user_filter(user)
            self.assertEqual(
                str(filter), f"(&(objectclass=posixAccount)(uid={text}))", user
            )

    @given(user=st.text())
    def test_users_cannot_change_filters(self, user: str) -> None:
        """The filter read again has the same form, and the user's name as value."""
        filter = LdapUrl("ldap", "h", 389, "dc=x").user_filter(user)
        named = Item("uid", "=", (user.encode(),))
        self.assertEqual(parse_filter(str(filter)), Compound("&", (ANY_ENTRY, named)))


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
