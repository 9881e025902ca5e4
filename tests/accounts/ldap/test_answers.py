"""What a directory answers."""

from __future__ import annotations

from ldaptor.protocols import pureldap
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.answers import (
    MAX_MESSAGE_LENGTH,
    Answer,
    DirectoryError,
    accept,
    result_of,
)


class AnswerTests(SynchronousTestCase):
    def test_accept(self) -> None:
        """Results have names, where they have any, and what is said about them."""
        accept("the search", Answer(0))
        for answer, words in (
            (Answer(32), "noSuchObject"),
            (Answer(4242), "result 4242"),
            (Answer(53, "Account inactivated."), "unwillingToPerform: Account inactiv"),
        ):
            with self.assertRaisesRegex(DirectoryError, f"the search: .* {words}"):
                accept("the search", answer)

    def test_message(self) -> None:
        """It is one line of text, and not all of a long one."""
        for said, message in (
            (b"", ""),
            (b"locked, data 775, v3839\0", "locked, data 775, v3839"),
            (b"two\r\n lines\x1b[1m \xff", "two lines [1m \ufffd"),
            (b"x" * 9999, "x" * MAX_MESSAGE_LENGTH),
            (5, ""),
        ):
            response = pureldap.LDAPBindResponse(resultCode=49, errorMessage=said)
            self.assertEqual(result_of([response]), Answer(49, message))
