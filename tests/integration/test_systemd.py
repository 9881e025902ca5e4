"""The units, and regbroker as they start it."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from .case import PeersTestCase
from .peers.nursery import REPOSITORY
from .peers.processes import Daemon, base_environment, require_programs, run
from .peers.systemd import NotifySocket, activated, serve_command

UNITS = REPOSITORY / "etc" / "systemd"
NOBODY = 65534
TWISTD = "from twisted.scripts.twistd import run; run()"

EXPOSURE = "15"
"""1.5, as `systemd-analyze security --threshold` counts."""

CONFIGURATION = """\
[regbroker]
listen = {listen}
state-directory = {directory}/state
[registry *]
upstream = sandbox
namespaces = team = acme_team
[upstream sandbox]
url = sandbox:
"""


class UnitTests(PeersTestCase):
    """The files that are installed, looked at by systemd itself."""

    def setUp(self) -> None:
        super().setUp()
        require_programs("systemd-analyze")
        for name in ("regbroker.service", "regbroker.socket"):
            text = (UNITS / name).read_text()
            # It is installed where the tests run.
            text = text.replace("/opt/regbroker/bin/regbroker", "/bin/true")
            (self.directory / name).write_text(text)

    def analyze(self, *arguments: str) -> str:
        """The output of systemd-analyze, which is content."""
        environment = base_environment(self.directory / "home")
        # Without it, colours and a pager.
        environment["SYSTEMD_PAGER"] = "cat"
        done = run(["systemd-analyze", *arguments], environment)
        self.assertEqual(done.status, 0, done.output)
        return done.output

    def test_verify(self) -> None:
        """Nothing in the units is unknown or wrong."""
        names = ("regbroker.service", "regbroker.socket")
        said = self.analyze("verify", *(str(self.directory / name) for name in names))
        self.assertEqual(
            [line for line in said.splitlines() if "regbroker" in line], []
        )

    def test_security(self) -> None:
        """What a regbroker that was taken over could do is little."""
        said = self.analyze(
            "security",
            "--offline=yes",
            f"--threshold={EXPOSURE}",
            str(self.directory / "regbroker.service"),
        )
        self.assertRegex(said, r"Overall exposure level for regbroker\.service: [01]\.")

    def test_time_to_stop(self) -> None:
        """systemd waits longer than transfers have by default."""
        text = (UNITS / "regbroker.service").read_text()
        match = re.search(r"^TimeoutStopSec=(\d+)s$", text, re.MULTILINE)
        assert match is not None
        self.assertGreater(int(match[1]), 30)

    def test_names_fit(self) -> None:
        """The socket has the name that its comment tells to listen on."""
        text = (UNITS / "regbroker.socket").read_text()
        match = re.search(r"^FileDescriptorName=(\S+)$", text, re.MULTILINE)
        assert match is not None
        self.assertIn(f"tls:systemd:domain=INET6:name={match[1]}", text)


class ServedTestCase(PeersTestCase):
    """`regbroker serve` with a sandbox behind it."""

    def environment(self, **more: str) -> dict[str, str]:
        """Ours, so that coverage measures it, with the checkout."""
        own = {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
        return {**os.environ, **own, **more}

    def configuration(self, listen: str) -> Path:
        """A configuration file."""
        path = self.directory / "regbroker.ini"
        path.write_text(CONFIGURATION.format(listen=listen, directory=self.directory))
        return path

    def start(self, command: list[str], environment: dict[str, str]) -> Daemon:
        """Start a process; it ends with the test."""
        daemon = Daemon(command, self.directory / "log", environment)
        self.addCleanup(daemon.stop)
        return daemon


class NotifyTests(ServedTestCase):
    """What a real NOTIFY_SOCKET hears."""

    def setUp(self) -> None:
        super().setUp()
        self.notified = NotifySocket(self.directory / "notify")
        self.addCleanup(self.notified.close)
        self.daemon = self.start(
            serve_command(self.configuration("tcp:0:interface=127.0.0.1")),
            self.environment(
                NOTIFY_SOCKET=str(self.notified.path), WATCHDOG_USEC="500000"
            ),
        )

    def test_life(self) -> None:
        """READY when it serves, WATCHDOG while it does, STOPPING at its end."""
        ready = self.notified.wait_for("READY")
        listening = self.daemon.wait_for(r"listening on (http://127\.0\.0\.1:\d+)")
        self.assertEqual(ready, {"READY": "1", "STATUS": f"serving {listening[1]}"})
        self.notified.wait_for("WATCHDOG")
        self.notified.wait_for("WATCHDOG")
        os.kill(self.daemon.pid, signal.SIGTERM)
        stopping = self.notified.wait_for("STOPPING")
        self.assertGreater(int(stopping["EXTEND_TIMEOUT_USEC"]), 0)
        self.assertEqual(self.daemon.wait(), 0)


class SocketTests(ServedTestCase):
    """A socket that somebody else holds."""

    def test_named_socket(self) -> None:
        """The first client is served by the process that it starts."""
        require_programs("systemd-socket-activate")
        path = self.configuration("systemd:domain=INET:name=web")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        command = activated(port, "web", serve_command(path))
        daemon = self.start(command, self.environment())
        daemon.wait_for("Listening on")
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.addCleanup(client.close)
        client.request("GET", "/v2/")
        self.assertEqual(client.getresponse().status, 401)
        self.assertIn(f"listening on http://127.0.0.1:{port}", daemon.output())

    def test_unix_socket(self) -> None:
        """A unix socket of systemd's is served, too, and stays where it is."""
        require_programs("systemd-socket-activate")
        file = self.directory / "s"
        path = self.configuration("systemd:domain=UNIX:name=web")
        command = activated(0, "web", serve_command(path))
        command[1] = f"--listen={file}"
        daemon = self.start(command, self.environment())
        daemon.wait_for("Listening on")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(file))
            client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(client.recv(1000).startswith(b"HTTP/1.1 401 "))
        daemon.stop()
        self.assertTrue(file.is_socket())

    def test_left_over(self) -> None:
        """A socket that no listener takes is told of, with what to write."""
        require_programs("systemd-socket-activate")
        path = self.configuration("tcp:0:interface=127.0.0.1")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        daemon = self.start(
            activated(port, "web", serve_command(path)), self.environment()
        )
        daemon.wait_for("Listening on")
        with socket.create_connection(("127.0.0.1", port)):
            daemon.wait_for("the socket 'web', and no listener takes it")

    def test_other_name(self) -> None:
        """A socket of another name is not taken; the log says what is wanted."""
        daemon = self.start(
            serve_command(self.configuration("systemd:domain=INET:name=web")),
            self.environment(),
        )
        self.assertEqual(daemon.wait(60), 1)
        self.assertIn("no socket with the name web", daemon.output())


class ServiceUserTests(ServedTestCase):
    """A user who may write nowhere but to the state directory."""

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid() != 0:
            require_programs("systemd-run", root=True)
        # A package of plugins that has no cache, and may not get one.
        self.plugins = self.directory / "packages" / "twisted" / "plugins"
        self.plugins.mkdir(parents=True)
        (self.plugins / "some_plugin.py").write_text("")
        (self.directory / "state").mkdir()
        os.chown(self.directory / "state", NOBODY, NOBODY)
        self.directory.chmod(0o755)
        self.path = self.configuration("tls:0:interface=127.0.0.1")

    def run_as_nobody(self, command: list[str]) -> str:
        """The log of a process that was started, served, and ended."""
        setpriv = shutil.which("setpriv")
        assert setpriv is not None
        user = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        environment = self.environment(HOME="/nonexistent")
        # Files of its own would be those of another user.
        environment.pop("COVERAGE_PROCESS_CONFIG", None)
        environment.pop("COVERAGE_PROCESS_START", None)
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(REPOSITORY), str(self.directory / "packages")]
        )
        daemon = self.start([*user, *command], environment)
        daemon.wait_for("regbroker serves")
        os.kill(daemon.pid, signal.SIGTERM)
        daemon.wait()
        return daemon.output()

    def test_no_cache(self) -> None:
        """`regbroker serve` writes no cache of plugins, and complains of none."""
        log = self.run_as_nobody(serve_command(self.path))
        self.assertIn("listening on https://", log)
        self.assertNotIn("dropin.cache", log)
        self.assertNotIn("plugin", log.replace(str(self.directory), ""))
        self.assertEqual([path.name for path in self.plugins.iterdir()], [self.only])

    only = "some_plugin.py"

    def test_twistd_complains(self) -> None:
        """The control: twistd looks for plugins, and says that it has no cache."""
        twistd = [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "regbroker"]
        log = self.run_as_nobody([*twistd, "--config", str(self.path)])
        self.assertIn("dropin.cache", log)


class ExecutableMemoryTests(ServedTestCase):
    """Why the unit has no MemoryDenyWriteExecute."""

    def test_denied(self) -> None:
        """Where memory cannot be executable after it was written, TLS fails."""
        # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN: what systemd's option does, too.
        deny = (
            "import ctypes, sys\n"
            "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):\n"
            "    sys.exit(77)\n"
        )
        use = (
            "from OpenSSL import SSL\n"
            "SSL.Context(SSL.TLS_METHOD).set_verify(SSL.VERIFY_PEER, lambda *a: True)\n"
        )
        if self.status(deny) == 77:
            self.skipTest("this kernel has no PR_SET_MDWE")
        self.assertEqual(self.status(use), 0)
        self.assertNotEqual(self.status(deny + use), 0)

    def status(self, program: str) -> int:
        """The exit status of a Python program."""
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, check=False).returncode
