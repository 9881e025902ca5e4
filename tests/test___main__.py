"""``python -m regbroker``."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from regbroker import __version__


class MainTests(SynchronousTestCase):
    def run_module(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the package as a program."""
        return subprocess.run(
            [sys.executable, "-m", "regbroker", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_version(self) -> None:
        """The package is the command."""
        done = self.run_module("--version")
        self.assertEqual((done.returncode, done.stdout), (0, f"{__version__}\n"))

    def test_status(self) -> None:
        """Its exit status is the command's."""
        done = self.run_module("check", "-c", "/nowhere/regbroker.ini")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/regbroker.ini cannot be served", done.stderr)
