"""Why a directory does not let somebody in."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.answers import Answer, Entry
from regbroker.accounts.ldap.refusals import NO, why_disabled, why_refused

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
            why = why_disabled(entry(attribute, value))
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
            self.assertEqual(why_disabled(entry(attribute, *values)), "", values)


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
