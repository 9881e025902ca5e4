"""The ``regbroker`` command line."""

import io
from contextlib import redirect_stdout

from regbroker import __version__
from regbroker.cli.main import main
from tests.cli.case import CommandCase


class CommandLineTests(CommandCase):
    def test_no_file(self) -> None:
        """A file that is not there is named."""
        status, _, err = self.run_command("check", "-c", "/nowhere/regbroker.ini")
        self.assertEqual(status, 1)
        self.assertEqual(
            err.splitlines(),
            [
                "error: /nowhere/regbroker.ini: No such file or directory",
                "/nowhere/regbroker.ini cannot be served: 1 error",
            ],
        )
        status, _, err = self.run_command(
            "explain", "-c", "/nowhere/regbroker.ini", "localhost/a"
        )
        self.assertEqual(status, 1)
        self.assertEqual(
            err, "error: /nowhere/regbroker.ini: No such file or directory\n"
        )

    def test_version(self) -> None:
        """It says which regbroker this is."""
        out = io.StringIO()
        with redirect_stdout(out):
            error = self.assertRaises(SystemExit, main, ["--version"])
        self.assertEqual((error.code, out.getvalue()), (0, f"{__version__}\n"))

    def test_usage(self) -> None:
        """Without a command, or without a file, the exit status is 2."""
        for arguments in ((), ("check",), ("explain", "localhost/a"), ("serve",)):
            error = self.assertRaises(SystemExit, self.run_command, *arguments)
            self.assertEqual(error.code, 2)
