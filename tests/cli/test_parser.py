"""What the command line says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.case import CONFIG, CommandCase


class ParserTests(CommandCase):
    def refused(self, *arguments: str) -> list[str]:
        """The lines of a command that ends with status 2, the usage first."""
        done = self.run_apart(*arguments)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        return done.stderr.splitlines()

    def run_apart(
        self, *arguments: str, **options: object
    ) -> subprocess.CompletedProcess[str]:
        """Run the command as a process of its own."""
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [sys.executable, "-m", "regbroker", *arguments],
            **{"capture_output": True, "text": True, "check": False, **options},
        )

    def test_unknown(self) -> None:
        """The usage is that of the command; an option that may be meant is named."""
        for arguments, usage, words in (
            (("check", "-c", "x", "--strcit"), "check", "did you mean '--strict'?"),
            (("explain", "-c", "x", "a", "--usr=b"), "explain", "'--user'?"),
            (("check", "-c", "x", "y"), "check", "unrecognized arguments: y"),
            (("token", "revoke", "x", "y", "z"), "token revoke", "arguments: z"),
            (("doctor", "-c", "x", "--josn"), "doctor", "'--json'?"),
        ):
            lines = self.refused(*arguments)
            self.assertTrue(lines[0].startswith(f"usage: regbroker {usage} "), lines)
            self.assertIn(words, lines[-1])

    def test_password_file_alone(self) -> None:
        """A password of nobody is not silently left out."""
        path = self.write(CONFIG)
        lines = self.refused("doctor", "-c", path, "--password-file", path)
        self.assertIn("--password-file needs --user", lines[-1])

    def test_readers_that_leave(self) -> None:
        """Help and version are as quiet as all else where nobody reads them."""
        for arguments in (("--help",), ("--version",), ("explain", "--help")):
            reading, writing = os.pipe()
            os.close(reading)
            with open(writing, "wb") as closed:
                done = self.run_apart(
                    *arguments, capture_output=False, stdout=closed, stderr=-1
                )
            self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)

    def test_no_room(self) -> None:
        """A disk that is full is a line, and exit status 1."""
        with Path("/dev/full").open("wb") as full:
            done = self.run_apart(
                "--help", capture_output=False, stdout=full, stderr=-1
            )
        self.assertEqual(done.returncode, 1)
        self.assertEqual(
            done.stderr,
            "error: standard output cannot be written: No space left on device\n",
        )

    def test_narrow(self) -> None:
        """Help fits into whatever terminal."""
        for columns in ("1", "20", "1000"):
            done = self.run_apart("--help", env={**os.environ, "COLUMNS": columns})
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("doctor", done.stdout)
