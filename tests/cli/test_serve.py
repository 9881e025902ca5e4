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

#: Upstreams whose names no name server knows; Twisted has ten threads for all names.
UNKNOWN = 30

NO_NAME_SERVER = f"""
import os, signal, socket, threading
asked = []
def hang(name, *others, **named):
    asked.append(name)
    if len(asked) == {UNKNOWN}:
        from twisted.internet import reactor
        # When it runs: before that, a signal ends the process at once.
        reactor.callFromThread(os.kill, os.getpid(), signal.SIGTERM)
    threading.Event().wait()
socket.getaddrinfo = hang
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

    def test_no_name_server(self) -> None:
        """Names that nobody answers for wait for no other, and the end for none."""
        text = "[regbroker]\nlisten = tcp:0:interface=127.0.0.1\n"
        for number in range(UNKNOWN):
            text += (
                f"[registry r{number}.test]\nupstream = u{number}\n"
                f"namespaces = * = *\n[upstream u{number}]\n"
                f"url = https://u{number}.test\n"
            )
        log = Path(self.mktemp()).absolute()
        process = measured_nursery().start(
            ["serve", "--config", str(Path(self.write(text)).absolute())],
            log,
            environment(is_measured=True),
            program=NO_NAME_SERVER,
        )
        self.addCleanup(process.kill)
        self.assertEqual(process.wait(SECONDS), 0, log.read_text())
        self.assertIn("Server Shut Down", log.read_text())

    def test_no_file(self) -> None:
        """A file that is not there is named."""
        status, output = self.serve("/nowhere/regbroker.ini")
        self.assertEqual(status, 1)
        self.assertIn("/nowhere/regbroker.ini: No such file or directory", output)
