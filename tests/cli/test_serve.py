"""``regbroker serve``, as far as nothing is served; test_systemd has the rest."""

import subprocess
import sys
from pathlib import Path

from tests.cli.case import CommandCase

SECONDS = 60.0


class ServeTests(CommandCase):
    """A process, for the reactor is one for each process."""

    def serve(self, path: str) -> tuple[int, str]:
        """Return exit status and output of a process that cannot serve."""
        done = subprocess.run(
            [sys.executable, "-m", "regbroker", "serve", "--config", path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    def test_broken_configuration(self) -> None:
        """All problems are told, and the exit status is 1."""
        path = self.write("[regbroker]\nlisten = 1\n[registry x]\nupstream = y\n")
        status, output = self.serve(str(Path(path).absolute()))
        self.assertEqual(status, 1)
        self.assertIn("cannot be served:\n", output)
        self.assertIn("  [regbroker] listen: ", output)
        self.assertIn("  [registry x] upstream: ", output)
        self.assertNotIn("Traceback", output)

    def test_no_file(self) -> None:
        """A file that is not there is named."""
        status, output = self.serve("/nowhere/regbroker.ini")
        self.assertEqual(status, 1)
        self.assertIn("/nowhere/regbroker.ini: No such file or directory", output)
