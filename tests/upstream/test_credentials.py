"""The upstream's own credentials, from wherever they come."""

import json
import os
from codecs import BOM_UTF8
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import UpstreamUnavailable
from regbroker.upstream.credentials import (
    Credentials,
    EnvironmentPassword,
    Login,
    PasswordFile,
    docker_server,
    parse_password,
)


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
    @given(st.text(st.characters(exclude_characters="\ufeff\0", codec="utf-8")))
    def test_round_trip(self, password: str) -> None:
        """A password is the file but for one newline, spaces and all."""
        assume(not password.endswith("\r"))
        for begin in (b"", BOM_UTF8):
            for end in (b"\n", b"\r\n"):
                contents = begin + password.encode() + end
                if password.strip("\r\n"):
                    self.assertEqual(parse_password(contents), password)
                else:
                    self.assertRaises(ValueError, parse_password, contents)

    def test_many_lines(self) -> None:
        """Google's is the whole key file, as it is."""
        key = json.dumps({"type": "service_account", "private_key": "a\nb\n"}, indent=2)
        self.assertEqual(parse_password(key.encode()), key)
        self.assertEqual(parse_password(f"{key}\n".encode()), key)
        self.assertEqual(parse_password(b"one\r\ntwo\r\n"), "one\r\ntwo")

    def test_wrong(self) -> None:
        """What can be no password is named without telling it."""
        for contents, problem in (
            (b"", "empty"),
            (b"\n", "empty"),
            (b"\r\n\n", "empty"),
            (BOM_UTF8, "empty"),
            (b"abc\0\n", "no text"),
            (b"abc\xff", "not UTF-8"),
            ("abc\r\n".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
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
        os.utime(new, (0, 0))
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
            for contents in ("s3cret", "s3cret\0s3cret", "other-s3cret\0"):
                self.write(contents)
                self.clock.advance(1)
                self.get()
        self.assertNotIn("s3cret", repr(events))
        self.assertEqual(len(events), 2)

    def test_close(self) -> None:
        """There is nothing to end."""
        self.credentials.close()


class EnvironmentPasswordTests(SynchronousTestCase):
    def get(self, environment: dict[str, str]) -> Deferred[Login]:
        """Ask for the login."""
        credentials: Credentials = EnvironmentPassword("bot", "SECRET", environment)
        credentials.refused()
        credentials.close()
        return Deferred.fromCoroutine(credentials.get())

    def test_password(self) -> None:
        """It is the variable but for one newline."""
        for text, password in (("p:w", "p:w"), ("a\nb\n", "a\nb")):
            self.assertEqual(
                self.successResultOf(self.get({"SECRET": text})), ("bot", password)
            )

    def test_none(self) -> None:
        """Without one the log says which, once, and clients hear nothing of it."""
        for environment, problem in (
            ({}, "the environment has no SECRET"),
            ({"SECRET": ""}, "SECRET in the environment is empty"),
        ):
            with capturedLogs() as events:
                failure = self.failureResultOf(
                    self.get(environment), UpstreamUnavailable
                )
            self.assertNotIn("SECRET", failure.value.message)
            (event,) = events
            self.assertTrue(formatEvent(event).startswith(problem))


class CredentialServerTests(SynchronousTestCase):
    def test_as_docker_has_it(self) -> None:
        """Docker Hub has one name for all of its own, others have theirs."""
        for host in ("registry-1.docker.io", "docker.io", "index.docker.io"):
            self.assertEqual(docker_server(host, host), "https://index.docker.io/v1/")
        for netloc in ("ghcr.io", "r.test:5000", "1.dkr.ecr.eu-west-1.amazonaws.com"):
            host = netloc.partition(":")[0]
            self.assertEqual(docker_server(host, netloc), netloc)
