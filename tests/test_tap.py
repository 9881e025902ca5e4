"""``twistd regbroker``, as a process."""

import io
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from http.client import HTTPSConnection
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.main import main
from tests.integration.peers.nursery import (
    TWISTD,
    Forked,
    environment,
    measured_nursery,
)

SHIPPED = Path(__file__).resolve().parents[1] / "etc" / "regbroker.ini"

#: How long a process may take to start or to end, at the worst.
DEADLINE = 60.0

CONFIG = """
[regbroker]
listen = tls:{port}:interface=127.0.0.1
state-directory = state
[registry *]
upstream = sandbox
namespaces = team = acme_team
[upstream sandbox]
url = sandbox:
users = alice:wonderland
"""


#: The signal comes when the ports are open, and nothing runs yet.
HANG_UP_AT_ONCE = f"""
import os, signal
from regbroker import tap
start = tap.TwistdService.startService
def hang_up_and_start(service):
    os.kill(os.getpid(), signal.SIGHUP)
    start(service)
tap.TwistdService.startService = hang_up_and_start
{TWISTD}
"""


class Twistd:
    """One twistd process, its output in a file."""

    def __init__(self, directory: Path, *arguments: str, by_shell: bool) -> None:
        self.output = directory / "output"
        options = ["-n", "--pidfile=", "regbroker", *arguments]
        self.process: Forked | subprocess.Popen[bytes]
        if not by_shell:
            self.output.write_bytes(b"")
            self.process = measured_nursery().start(
                options, self.output, environment(is_measured=True)
            )
            return
        with open(self.output, "wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", TWISTD, *options],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    @property
    def text(self) -> str:
        """What the process has printed so far."""
        return self.output.read_text(errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match in the output; fails when the process ends."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            match = re.search(pattern, self.text)
            if match:
                return match
            if ended:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in: {self.text}")

    def end(self) -> int:
        """End the process, if it is still there; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


class TwistdTests(SynchronousTestCase):
    """What an operator sees of the process.

    Most are forked off one that has everything loaded: a start takes a second of CPU
    time.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def start(self, *arguments: str, by_shell: bool = False) -> Twistd:
        """Start twistd; it is ended with the test."""
        twistd = Twistd(self.directory, *arguments, by_shell=by_shell)
        self.addCleanup(twistd.end)
        return twistd

    def write(self, text: str) -> str:
        """Return the path of a new configuration."""
        path = self.directory / "regbroker.ini"
        path.write_text(text)
        return str(path)

    def test_broken_configuration(self) -> None:
        """All problems are told, the exit status is 1, there is no traceback."""
        path = self.write("[regbroker]\nlisten = 1\n[registry x]\nupstream = y\n")
        twistd = self.start("--config", path)
        self.assertEqual(twistd.process.wait(DEADLINE), 1)
        self.assertIn("regbroker.ini cannot be served:\n", twistd.text)
        self.assertIn("  [regbroker] listen: ", twistd.text)
        self.assertIn("  [registry x] upstream: ", twistd.text)
        self.assertIn("  [registry x] namespaces: ", twistd.text)
        self.assertNotIn("Traceback", twistd.text)

    def test_no_configuration(self) -> None:
        """Without --config the option is named, and the exit status is 1."""
        twistd = self.start()
        self.assertEqual(twistd.process.wait(DEADLINE), 1)
        self.assertIn("--config FILE is missing", twistd.text)
        self.assertNotIn("Traceback", twistd.text)

    def test_port_taken(self) -> None:
        """A port that is taken is one clear line, and exit status 1."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            twistd = self.start("--config", self.write(CONFIG.format(port=port)))
            self.assertEqual(twistd.process.wait(DEADLINE), 1)
        (line,) = [text for text in twistd.text.splitlines() if "listen" in text]
        self.assertIn(
            "regbroker: [regbroker] listen: cannot listen on "
            f"tls:{port}:interface=127.0.0.1: Address already in use; port {port} is "
            "taken: ",
            line,
        )
        self.assertNotIn("Traceback", twistd.text)

    def test_port_taken_for_a_daemon(self) -> None:
        """Who starts the daemon is told, and no pidfile is left."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            config = self.write(CONFIG.format(port=taken.getsockname()[1]))
            pidfile = self.directory / "pid"
            done = subprocess.run(
                [
                    *(sys.executable, "-c", TWISTD, "--pidfile", "pid"),
                    *("--logfile", "log", "regbroker", "-c", config),
                ],
                cwd=self.directory,
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot listen on", done.stdout + done.stderr)
        self.assertFalse(pidfile.exists())
        self.assertIn("Address already in use", (self.directory / "log").read_text())

    def test_state_directory(self) -> None:
        """A state directory that cannot be one is a line, not a traceback."""
        (self.directory / "state").write_text("a file")
        text = CONFIG.format(port=0).replace("tls:", "tcp:")
        twistd = self.start("--config", self.write(text))
        self.assertEqual(twistd.process.wait(DEADLINE), 1)
        self.assertIn("regbroker: ", twistd.text)
        self.assertNotIn("Traceback", twistd.text)

    def test_warnings(self) -> None:
        """What has no effect is logged once, and everything else is served."""
        spare = "[upstream spare]\nurl = sandbox:\n"
        twistd = self.start("--config", self.write(CONFIG.format(port=0) + spare))
        twistd.wait_for("regbroker serves")
        self.assertEqual(twistd.text.count("[upstream spare]: no [registry HOST]"), 1)
        # What nothing uses is not started.
        self.assertEqual(twistd.text.count("for trying out only"), 1)

    def test_says_what_check_says(self) -> None:
        """twistd refuses, and warns, in the words of `regbroker check`."""
        (self.directory / "a.pem").write_text("no certificate")
        good = CONFIG.format(port=0)
        broken = "[tls]\ncertificate = a.pem\nkey = a.pem\n[upstrem x]\n"
        spare = "[upstream spare]\nurl = sandbox:\n"
        for text, kind, sign in (
            (good + broken, "error: ", "cannot be served"),
            (good + spare, "warning: ", "regbroker serves"),
        ):
            path = self.write(text)
            twistd = self.start("--config", path)
            twistd.wait_for(sign)
            errors = io.StringIO()
            with redirect_stderr(errors), redirect_stdout(io.StringIO()):
                main(["check", "-c", path])
            lines = [
                line.removeprefix(kind)
                for line in errors.getvalue().splitlines()
                if line.startswith(kind)
            ]
            self.assertTrue(lines)
            for line in lines:
                self.assertIn(line, twistd.text)
            if twistd.process.poll() is None:
                twistd.end()

    def test_hang_up(self) -> None:
        """SIGHUP ends nothing."""
        twistd = self.start("--config", self.write(CONFIG.format(port=0)))
        twistd.wait_for("regbroker serves")
        twistd.process.send_signal(signal.SIGHUP)
        twistd.wait_for("regbroker.ini: read again, and in use")
        self.assertIsNone(twistd.process.poll())

    def test_hang_up_at_once(self) -> None:
        """Nor does one that comes while it starts: the file is read again then."""
        log = self.directory / "output"
        process = measured_nursery().start(
            ["-n", "--pidfile=", "regbroker", "-c", self.write(CONFIG.format(port=0))],
            log,
            environment(is_measured=True),
            program=HANG_UP_AT_ONCE,
        )
        self.addCleanup(process.kill)
        deadline = time.monotonic() + DEADLINE
        while "regbroker.ini: read again, and in use" not in log.read_text():
            self.assertIsNone(process.poll(), log.read_text())
            self.assertLess(time.monotonic(), deadline, log.read_text())
            time.sleep(0.02)
        process.terminate()
        self.assertEqual(process.wait(DEADLINE), 0)

    def test_wrong_certificate(self) -> None:
        """A certificate that is none is told before anything starts."""
        (self.directory / "a.pem").write_text("no certificate")
        text = CONFIG.format(port=0) + "[tls]\ncertificate = a.pem\nkey = a.pem\n"
        twistd = self.start("--config", self.write(text))
        self.assertEqual(twistd.process.wait(DEADLINE), 1)
        self.assertIn("a.pem: the certificate is no PEM file", twistd.text)
        self.assertNotIn("Traceback", twistd.text)

    def test_help_and_version(self) -> None:
        """--help names the option; --version is regbroker's."""
        self.assertEqual(self.start("--help").process.wait(DEADLINE), 0)
        self.assertIn("--config=", (self.directory / "output").read_text())
        twistd = self.start("--version")
        self.assertEqual(twistd.process.wait(DEADLINE), 0)
        self.assertRegex(twistd.text, r"^regbroker \d+\.\d+")

    def test_shipped(self) -> None:
        """
        The configuration as shipped is served: listen and state moved out of
        the way of others, the rest as it is.
        """
        shipped = SHIPPED.read_text()
        moved = shipped.replace("tls:8443:", "tls:0:").replace("../var", "var")
        self.assertNotEqual(moved, shipped)
        twistd = self.start("--config", self.write(moved), by_shell=True)
        port = int(twistd.wait_for(r"listening on https://127.0.0.1:(\d+)")[1])
        twistd.wait_for(r"for trying out only")
        twistd.wait_for(r"curl --cacert \S+ https://localhost:\d+/v2/")
        twistd.wait_for(r"token service http")
        context = ssl.create_default_context(
            cafile=str(self.directory / "var" / "self-signed.pem")
        )
        connection = HTTPSConnection("localhost", port, context=context, timeout=30)
        self.addCleanup(connection.close)
        connection.request("GET", "/v2/")
        reply = connection.getresponse()
        self.assertEqual(reply.status, 401)
        self.assertEqual(
            reply.getheader("WWW-Authenticate"),
            f'Bearer realm="https://localhost:{port}/auth",service="regbroker-sandbox"',
        )
        twistd.end()
        self.assertNotIn("Traceback", twistd.text)
        self.assertNotIn("Unhandled", twistd.text)

    def test_log_of_start_and_stop(self) -> None:
        """Every kind of listener is a sentence; Twisted's own names are in none."""
        listen = """
            tls:0:interface=127.0.0.1
            proxy:tcp:0:interface=127.0.0.1
            proxy:tls:0:interface=127.0.0.1
            redirect:0:interface=127.0.0.1
            unix:u.sock
            tls:unix:t.sock
admin-listen = tcp:0
trusted-proxies = 127.0.0.1"""
        text = CONFIG.replace("tls:{port}:interface=127.0.0.1", listen)
        twistd = self.start("--config", self.write(text))
        twistd.wait_for(r"token service http")
        self.assertEqual(twistd.end(), 0)
        ports = re.sub(r"127\.0\.0\.1:\d+", "HERE", twistd.text)
        for words in (
            "listening on https://HERE",
            "listening on http://HERE, for proxies that send PROXY lines",
            "listening on https://HERE, for proxies that send PROXY lines",
            "listening on http://HERE, where clients are sent on to https",
            "listening on unix:u.sock",
            "listening on unix:t.sock, with TLS",
            "admin-listen: listening on http://HERE",
        ):
            self.assertRegex(ports, f"(?m) {words}$")
        self.assertRegex(ports, "(?m) stopping: no request is under way$")
        for nonsense in (" object at 0x", "Factory", "Address(", "Port", "Traceback"):
            self.assertNotIn(nonsense, ports.partition("regbroker serves")[0])
            self.assertNotIn(nonsense, ports.partition("stopping:")[2])

    def test_ends_on_request(self) -> None:
        """SIGTERM ends the process, and nothing is left listening."""
        path = self.write(CONFIG.format(port=0))
        twistd = self.start("--config", path, by_shell=True)
        port = int(twistd.wait_for(r"listening on https://127.0.0.1:(\d+)")[1])
        # Who gets an answer knows that the reactor runs, with our handlers in it.
        context = ssl.create_default_context(
            cafile=str(self.directory / "state" / "self-signed.pem")
        )
        connection = HTTPSConnection("localhost", port, context=context, timeout=30)
        self.addCleanup(connection.close)
        connection.request("GET", "/v2/")
        connection.getresponse()
        self.assertEqual(twistd.end(), 0)
        with socket.socket() as probe:
            self.assertNotEqual(probe.connect_ex(("127.0.0.1", port)), 0)
