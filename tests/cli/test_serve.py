"""``regbroker serve``, as far as nothing is served; test_systemd has the rest."""

from pathlib import Path

from tests.cli.case import CONFIG, CommandCase
from tests.integration.peers.nursery import environment, measured_nursery

SECONDS = 60.0

PROGRAM = "from regbroker.cli.main import main; raise SystemExit(main())"

SIGNALS_AT_ONCE = f"""
import os, signal
from regbroker.cli import serve
def tell(options):
    for number in (signal.SIGHUP, signal.SIGUSR1):
        os.kill(os.getpid(), number)
serve.runApp = tell
{PROGRAM}
"""


class ServeTests(CommandCase):
    """A process, for the reactor is one for each process."""

    def serve(self, path: str) -> tuple[int, str]:
        """Return exit status and output of a process that cannot serve."""
        log = Path(self.mktemp()).absolute()
        process = measured_nursery().start(
            ["serve", "--config", path],
            log,
            environment(is_measured=True),
            program=PROGRAM,
        )
        self.addCleanup(process.kill)
        return process.wait(SECONDS), log.read_text()

    def test_broken_configuration(self) -> None:
        """All problems are told, and the exit status is 1."""
        path = self.write("[regbroker]\nlisten = 1\n[registry x]\nupstream = y\n")
        status, output = self.serve(str(Path(path).absolute()))
        self.assertEqual(status, 1)
        self.assertIn("cannot be served:\n", output)
        self.assertIn("  [regbroker] listen: ", output)
        self.assertIn("  [registry x] upstream: ", output)
        self.assertNotIn("Traceback", output)

    def test_signals_at_once(self) -> None:
        """Signals that come before there is anything to read again end nothing."""
        log = Path(self.mktemp()).absolute()
        process = measured_nursery().start(
            ["serve", "--config", str(Path(self.write(CONFIG)).absolute())],
            log,
            environment(is_measured=True),
            program=SIGNALS_AT_ONCE,
        )
        self.addCleanup(process.kill)
        self.assertEqual(process.wait(SECONDS), 0, log.read_text())

    def test_no_file(self) -> None:
        """A file that is not there is named."""
        status, output = self.serve("/nowhere/regbroker.ini")
        self.assertEqual(status, 1)
        self.assertIn("/nowhere/regbroker.ini: No such file or directory", output)
