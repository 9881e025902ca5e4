"""LDAP URLs: what is understood, what is not, and what is said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.filters import (
    ANY_ENTRY,
    Compound,
    Item,
    parse_filter,
)
from regbroker.accounts.ldap.url import (
    LdapUrl,
    parse_ldap_url,
)
from tests.accounts.ldap.strategies import FILTERS, NAMES

POSIX = Item("objectclass", "=", (b"posixAccount",))


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
            ("ldap://cn=me:secret@h/", "with ldap-bind-password-file"),
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
