"""The ``regbroker`` command line."""

import io
from contextlib import redirect_stdout

from regbroker import __version__
from regbroker.cli.main import main
from tests.cli.case import CONFIG, CommandCase


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
        for arguments in (
            (),
            ("check",),
            ("explain", "localhost/a"),
            ("serve",),
            ("doctor",),
            ("token", "list"),
            ("check", "-c", "x", "y"),
            ("token", "list", "-c", "x", "y"),
        ):
            error = self.assertRaises(SystemExit, self.run_command, *arguments)
            self.assertEqual(error.code, 2)

    def test_config(self) -> None:
        """Each command takes the file by the same option, in both forms."""
        for command in (
            ("check",),
            ("explain", "localhost/a"),
            ("doctor",),
            ("token", "list"),
            ("token", "revoke", "id"),
        ):
            for option in ("-c", "--config"):
                status, _, err = self.run_command(*command, option, "/nowhere/a.ini")
                self.assertEqual(status, 1)
                wrong = "error: /nowhere/a.ini: No such file or directory"
                self.assertEqual(err.splitlines()[0], wrong)

    def test_doctor_without_password(self) -> None:
        """What a command cannot do begins with the same word as elsewhere."""
        path = self.write(CONFIG)
        given = ("doctor", "-c", path, "--user", "a", "--password-file", "/nowhere/p")
        status, _, err = self.run_command(*given)
        self.assertEqual(
            (status, err), (1, "error: /nowhere/p: No such file or directory\n")
        )
