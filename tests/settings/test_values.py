"""What options may say in words and numbers; the rest is in `test_ini`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.invalid import InvalidValue
from regbroker.settings.values import (
    count,
    extensions,
    helper_name,
    log_destination,
    path,
    paths,
    pattern,
    rate,
    seconds,
    service,
    shared_actions,
    size,
    token_life,
    username,
    yes_or_no,
)


class ValueCase(SynchronousTestCase):
    def assert_refused(self, parse: Callable[[str], Any], *texts: str) -> None:
        """None of these is a value; each is told what would be right."""
        for text in texts:
            error = self.assertRaises(InvalidValue, parse, text)
            self.assertTrue(str(error), text)


class ValueTests(ValueCase):
    def test_token_life(self) -> None:
        """Clients use a token for a minute, whatever it says: so it lives as long."""
        self.assertEqual(token_life("60"), 60.0)
        self.assertEqual(token_life("3600"), 3600.0)
        self.assert_refused(token_life, "59", "1", "0", "-1", "soon", "nan", "")

    def test_size(self) -> None:
        """Bytes, or powers of 1024 of them."""
        self.assertEqual(size("0"), 0)
        self.assertEqual(size("1000"), 1000)
        self.assertEqual(size("2K"), 2048)
        self.assertEqual(size("64M"), 64 * 1024 * 1024)
        self.assertEqual(size("1G"), 1024**3)
        self.assert_refused(size, "", "M", "-1", "1.5G", "64m", "64 MB", "\u0664")

    def test_lent_actions(self) -> None:
        """Pull alone, unless more is said."""
        self.assertEqual(shared_actions("shared"), {"pull"})
        self.assertEqual(shared_actions("shared: pull, push"), {"pull", "push"})
        self.assertEqual(shared_actions("shared:delete"), {"delete"})
        self.assert_refused(shared_actions, "", "yes", "shared:", "shared: *", "Shared")

    def test_extensions(self) -> None:
        """Each begins with an underscore; the catalog is none."""
        self.assertEqual(extensions("_oci, _docker\n_oci"), ("_oci", "_docker"))
        self.assertEqual(extensions(""), ())
        self.assert_refused(extensions, "oci", "_", "_catalog", "_a/b", "*", "__a")

    def test_pattern(self) -> None:
        """Any of the lines; none is no pattern."""
        denied = pattern("docker/1\\.5\n  Go \\d  \n")
        assert denied is not None
        self.assertTrue(denied.match("docker/1.5.0") and denied.match("Go 1.1"))
        self.assertIsNone(denied.match("skopeo docker/1.5"))
        self.assertIsNone(pattern(""))
        self.assert_refused(pattern, "(", "a\n*")

    def test_path(self) -> None:
        """One line; what was pasted in the place of a file's name is not repeated."""
        self.assertEqual(path("a b"), PurePath("a b"))
        self.assert_refused(path, "", "a\nb", "-----BEGIN PRIVATE KEY-----", "~/x")
        for line in ("alice:$2y$05$secret", "alice:{SHA}secret", "a:$apr1$secret"):
            with self.assertRaisesRegex(InvalidValue, "^a line of htpasswd itself"):
                path(line)
        with self.assertRaises(InvalidValue) as caught:
            paths("a\n-----BEGIN PRIVATE KEY-----\nMIGH")
        self.assertNotIn("MIGH", str(caught.exception))

    def test_log_destination(self) -> None:
        """A dash is no file of that name."""
        self.assertEqual(log_destination("-"), "-")
        self.assertEqual(log_destination("./-"), PurePath("-"))

    def test_username(self) -> None:
        """Any text that a Basic login can have."""
        self.assertEqual(username("robot$a b"), "robot$a b")
        self.assert_refused(username, "", "a:b", "a\nb", "\x7f")

    def test_helper_name(self) -> None:
        """A name and not a path."""
        self.assertEqual(helper_name("ecr-login"), "ecr-login")
        self.assert_refused(helper_name, "", "../x", "/bin/sh", "a b", "-x", ".x")

    def test_service(self) -> None:
        """Some name; an empty one would have no effect."""
        self.assertEqual(service("Docker registry"), "Docker registry")
        self.assert_refused(service, "", "a\nb", "a\0")

    def test_numbers(self) -> None:
        """Digits, with a fraction where there may be one; the bounds are said."""
        self.assertEqual(
            [seconds("0.5"), seconds("90"), seconds("1000000")], [0.5, 90, 1e6]
        )
        self.assertEqual([rate("0"), rate("500"), rate("1000000000")], [0, 500, 1e9])
        self.assertEqual([count("1"), count("9999999")], [1, 9999999])
        for parse, bounds in (
            (seconds, "is not a number of seconds above 0, up to 1000000"),
            (rate, "is not a number of bytes per second, up to 1000000000; "),
            (count, "is not a number from 1 to 9999999"),
        ):
            for text in (
                "",
                "1_0",
                "+5",
                "-1",
                "\uff15",
                "\u0665",
                "inf",
                "nan",
                "1e12",
                "5s",
            ):
                error = self.assertRaises(InvalidValue, parse, text)
                self.assertIn(f"'{text}' {bounds}", str(error))
        for text in ("0", "99999999999", "1000000.5", "9" * 400):
            self.assert_refused(seconds, text)
        for text, number in (("5min", 300), ("30s", 30), ("2 h", 7200), ("1m", 60)):
            with self.assertRaisesRegex(InvalidValue, f"; write {number}$"):
                seconds(text)
        self.assert_refused(rate, "1000000001", "9" * 400)
        self.assert_refused(count, "0", "1.5", "10000000")

    def test_yes_or_no(self) -> None:
        """These words and no others."""
        self.assertEqual([yes_or_no("yes"), yes_or_no("no")], [True, False])
        self.assert_refused(yes_or_no, "", "true", "1", "Yes")
