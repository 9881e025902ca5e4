"""Why a directory does not let somebody in."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.answers import Answer, Entry
from regbroker.accounts.ldap.refusals import NO, why_disabled, why_refused

#: 2023-11-14 22:13:20 UTC.
NOW = 1_700_000_000

DATA = "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {}"


def entry(attribute: str, *values: bytes) -> Entry:
    """An entry with one attribute."""
    return Entry(b"uid=alice,dc=x", ((attribute.lower(), values),))


class DisabledTests(SynchronousTestCase):
    def test_disabled(self) -> None:
        """Each directory has its own way to say so."""
        for attribute, value in (
            ("userAccountControl", b"514"),
            ("userAccountControl", b"66050"),
            ("userAccountControl", b"-2147483134"),
            ("nsAccountLock", b"TRUE"),
            ("nsAccountLock", b"true"),
            ("loginDisabled", b"TRUE"),
            ("msDS-UserAccountDisabled", b"TRUE"),
            ("pwdAccountLockedTime", b"000001010000Z"),
        ):
            why = why_disabled(entry(attribute, value), NOW)
            self.assertTrue(why.startswith(f"{attribute} is "), (value, why))

    def test_not_disabled(self) -> None:
        """Nor does a lock count that wrong passwords have made, or nonsense."""
        for attribute, values in (
            ("cn", [b"TRUE"]),
            ("userAccountControl", []),
            ("userAccountControl", [b"512"]),
            ("userAccountControl", [b"66048"]),
            ("userAccountControl", [b"", b"x", b"2" * 99, b"\xff"]),
            ("nsAccountLock", [b"FALSE"]),
            ("loginDisabled", [b"FALSE"]),
            ("pwdAccountLockedTime", [b"20261127120000Z"]),
        ):
            self.assertEqual(why_disabled(entry(attribute, *values), NOW), "", values)

    def test_over(self) -> None:
        """An account may have an end, of which it is the first second that counts."""
        for attribute, value in (
            ("accountExpires", b"133444736000000000"),
            ("krbPrincipalExpiration", b"20231114221320Z"),
            ("loginExpirationTime", b"20231114221320Z"),
        ):
            found = entry(attribute, value)
            self.assertEqual(why_disabled(found, NOW - 1), "")
            why = f"{attribute} is {value.decode()}, which is over"
            self.assertEqual(why_disabled(found, NOW), why)

    def test_no_end(self) -> None:
        """Some values mean that it has none; others mean nothing."""
        for attribute, value in (
            ("accountExpires", b"0"),
            ("accountExpires", b"9223372036854775807"),
            ("accountExpires", b"soon"),
            ("krbPrincipalExpiration", b"soon"),
            ("loginExpirationTime", b""),
        ):
            self.assertEqual(why_disabled(entry(attribute, value), NOW), "", value)


class RefusedTests(SynchronousTestCase):
    def test_wrong_password(self) -> None:
        """Of a wrong password, and of a right one, there is nothing to say."""
        for message in ("", "Invalid credentials", DATA.format("52e, v1db1")):
            self.assertEqual(why_refused(Answer(49, message)), "")
        self.assertEqual(why_refused(Answer(0)), "")

    def test_active_directory(self) -> None:
        """It says in hexadecimal what else is wrong."""
        for data, why in (
            ("532", "the password has expired"),
            ("533", "the account is disabled"),
            ("773", "the password must be changed first"),
            ("775", "the account is locked"),
        ):
            answer = Answer(49, DATA.format(f"{data}, v3839"))
            self.assertEqual(why_refused(answer), why)

    def test_others(self) -> None:
        """Other directories have other results, and a sentence."""
        for code in set(NO) - {49}:
            self.assertIn(NO[code], why_refused(Answer(code)))
        self.assertEqual(
            why_refused(Answer(19, "Exceed password retry limit.")),
            "the directory answers constraintViolation: Exceed password retry limit.",
        )
