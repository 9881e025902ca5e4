"""The upstream's own credentials, from wherever they come."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.credentials import (
    Credentials,
    Login,
    PasswordFile,
    parse_password,
)
from regbroker.errors import UpstreamUnavailable


class LoginTests(SynchronousTestCase):
    def test_is_a_pair(self) -> None:
        """A login is user and password, in this order."""
        user, password = Login("bot", "s3cret")
        self.assertEqual((user, password), ("bot", "s3cret"))

    def test_tells_no_secret(self) -> None:
        """What may end up in a log does not tell the password."""
        for text in (repr(Login("bot", "s3cret")), f"{Login('bot', 's3cret')}"):
            self.assertNotIn("s3cret", text)

    def test_identity_token(self) -> None:
        """A helper says with the user that the password is an identity token."""
        self.assertEqual(Login("<token>", "t").identity_token, "t")
        self.assertIsNone(Login("bot", "t").identity_token)


class ParsePasswordTests(SynchronousTestCase):
    @given(st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8")))
    def test_round_trip(self, password: str) -> None:
        """A password is the file's only line, whatever ends it, spaces and all."""
        for end in ("", "\n", "\r\n", "\n\n"):
            contents = (password + end).encode()
            if password:
                self.assertEqual(parse_password(contents), password)
            else:
                self.assertRaises(ValueError, parse_password, contents)

    def test_wrong(self) -> None:
        """What can be no password is named without telling it."""
        for contents, problem in (
            (b"", "empty"),
            (b"\n", "empty"),
            (b"abc\nxyz\n", "more than one line"),
            (b"abc\0\n", "more than one line"),
            (b"abc\xff", "not UTF-8"),
        ):
            error = self.assertRaises(ValueError, parse_password, contents)
            self.assertTrue(str(error).startswith(problem))
            self.assertNotIn("abc", str(error))


class PasswordFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.write("one\n")
        self.clock = Clock()
        self.credentials: Credentials = PasswordFile(
            "bot", self.path, self.clock.seconds
        )

    def write(self, password: str) -> None:
        """Put another file in its place."""
        new = self.path.with_name("new")
        new.touch(0o600)
        new.write_text(password)
        new.replace(self.path)

    def get(self) -> Login:
        """What there is to log in with."""
        return self.successResultOf(Deferred.fromCoroutine(self.credentials.get()))

    def test_changes(self) -> None:
        """A changed file counts a second later."""
        self.assertEqual(self.get(), ("bot", "one"))
        self.write("two")
        self.assertEqual(self.get(), ("bot", "one"))
        self.clock.advance(1)
        self.assertEqual(self.get(), ("bot", "two"))

    def test_refused(self) -> None:
        """After a refusal the file is looked at before it is used."""
        refused = self.get()
        self.write("two")
        self.credentials.refused(refused)
        self.assertEqual(self.get(), ("bot", "two"))
        self.credentials.refused()
        self.assertEqual(self.get(), ("bot", "two"))

    def test_gone(self) -> None:
        """A file that is gone leaves what it held last."""
        self.get()
        self.path.unlink()
        self.clock.advance(1)
        self.assertEqual(self.get(), ("bot", "one"))

    def test_never_there(self) -> None:
        """Without a password clients get 503; the log says which file."""
        self.path.unlink()
        with capturedLogs() as events:
            for _ in range(2):
                error = self.failureResultOf(
                    Deferred.fromCoroutine(self.credentials.get()),
                    UpstreamUnavailable,
                ).value
                self.assertEqual(error.status, 503)
                self.assertNotIn(self.path.name, error.message)
        self.assertEqual(
            [formatEvent(event) for event in events],
            [f"{self.path}: No such file or directory"],
        )
        self.write("two")
        self.clock.advance(1)
        self.assertEqual(self.get(), ("bot", "two"))

    def test_logs_no_password(self) -> None:
        """Neither good nor bad contents get into the log."""
        with capturedLogs() as events:
            for contents in ("s3cret", "s3cret\ns3cret", "other-s3cret\0"):
                self.write(contents)
                self.clock.advance(1)
                self.get()
        self.assertNotIn("s3cret", repr(events))
        self.assertEqual(len(events), 2)

    def test_close(self) -> None:
        """There is nothing to end."""
        self.credentials.close()
