"""The command line of ``twistd regbroker``."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from regbroker import __version__, tap
from regbroker.cli.twistd_options import Options

CONFIG = """
[registry *]
upstream = one
namespaces = team = acme_team
[upstream one]
url = https://registry.example.com
"""


class TwistdOptionsTests(SynchronousTestCase):
    """What is read, and what is said where that cannot be."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.options = Options()

    def test_found(self) -> None:
        """twistd finds the options in the module that the plugin names."""
        self.assertIs(tap.Options, Options)

    def test_configuration(self) -> None:
        """The configuration is read, and its text is kept."""
        self.path.write_text(CONFIG)
        self.options.parseOptions(["--config", str(self.path)])
        self.assertEqual(self.options.text, CONFIG)
        self.assertEqual([one.host for one in self.options.config.registries], ["*"])

    def test_problems(self) -> None:
        """All problems of a configuration are the last words of the process."""
        self.path.write_text("[regbroker]\nlisten = 1\n[registry x]\nupstream = y\n")
        ended = self.assertRaises(
            SystemExit, self.options.parseOptions, ["-c", str(self.path)]
        )
        first, *problems = str(ended.code).split("\n")
        self.assertEqual(first, f"regbroker: {self.path} cannot be served:")
        self.assertEqual(
            [problem.partition(":")[0] for problem in problems],
            [
                "  [regbroker] listen",
                "  [registry x] namespaces",
                "  [registry x] upstream",
            ],
        )

    def test_pidfile(self) -> None:
        """A pidfile that twistd could not write ends the process in words."""
        self.path.write_text(CONFIG)
        arguments = ["-c", str(self.path)]
        for pidfile, problem in (
            ("", ""),
            (str(self.path), ""),
            ("/nowhere/pid", "No such file or directory"),
            ("/", "Is a directory"),
        ):
            parent: Any = {"pidfile": pidfile, "rundir": "."}
            self.options.parent = parent
            if not problem:
                self.options.parseOptions(arguments)
                continue
            ended = self.assertRaises(SystemExit, self.options.parseOptions, arguments)
            said = f"regbroker: --pidfile {pidfile}: {problem}; name a file in a "
            self.assertTrue(str(ended.code).startswith(said), ended.code)

    def test_no_configuration(self) -> None:
        """Without --config, the option is named."""
        error = self.assertRaises(UsageError, self.options.parseOptions, [])
        self.assertEqual(str(error), "--config FILE is missing")

    def test_version(self) -> None:
        """--version prints that of regbroker, and ends with 0."""
        with redirect_stdout(StringIO()) as output:
            ended = self.assertRaises(
                SystemExit, self.options.parseOptions, ["--version"]
            )
        self.assertEqual(ended.code, 0)
        self.assertEqual(output.getvalue(), f"regbroker {__version__}\n")
