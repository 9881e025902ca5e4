"""Processes that are forked off behave as if a shell had started them."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
from pathlib import Path

from regbroker import __version__

from .case import PeersTestCase
from .peers.https_client import HttpsClient
from .peers.nursery import Forked, environment, nursery
from .peers.processes import poll
from .peers.regbroker import Regbroker

SANDBOX = """\
[registry *]
upstream = up
namespaces = * = *

[upstream up]
url = sandbox:
users =
    alice:wonderland
"""

FRONT = """\
[registry *]
upstream = up
namespaces = * = *

[upstream up]
url = https://localhost:{port}
ca-file = {authority}
"""


class ForkedTests(PeersTestCase):
    def start(self, *arguments: str) -> Forked:
        """Start twistd with its output in a file."""
        self.log = self.directory / "log"
        process = nursery().start(arguments, self.log, environment())
        self.addCleanup(process.kill)
        return process

    def test_exit_status(self) -> None:
        """The exit status is twistd's, and the output is in the file."""
        process = self.start("regbroker", "--version")
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(process.poll(), 0)
        self.assertEqual(self.log.read_text().strip(), f"regbroker {__version__}")
        process = self.start("regbroker", "--config", "missing.ini")
        self.assertEqual(process.wait(20), 1)
        self.assertIn("missing.ini", self.log.read_text())

    def start_serving(self) -> Forked:
        """Start a process that lives until it is ended."""
        (self.directory / "regbroker.ini").write_text(
            "[regbroker]\nlisten = tcp:0:interface=127.0.0.1\nstate-directory = state\n"
            + SANDBOX
        )
        options = ("-n", "--pidfile=", "regbroker", "--config", "regbroker.ini")
        process = self.start(*options)
        listening = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")
        poll(lambda: listening.search(self.log.read_text()), "listening")
        match = listening.search(self.log.read_text())
        assert match is not None
        # who answers has its reactor running, which ends at SIGTERM as it should
        connection = http.client.HTTPConnection("127.0.0.1", int(match[1]))
        self.addCleanup(connection.close)
        connection.request("GET", "/v2/")
        self.assertEqual(connection.getresponse().status, 401)
        return process

    def test_its_own(self) -> None:
        """It has a directory of its own, and it is one that runs."""
        process = self.start_serving()
        own = Path(f"/proc/{process.pid}")
        self.assertEqual((own / "cwd").readlink(), self.directory.resolve())
        self.assertIsNone(process.poll())
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(0.0)

    def test_terminate(self) -> None:
        """SIGTERM ends it as twistd ends; whoever signals later does no harm."""
        process = self.start_serving()
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        self.assertIn("Server Shut Down", self.log.read_text())
        process.terminate()
        process.kill()
        self.assertEqual(process.poll(), 0)

    def test_kill(self) -> None:
        """SIGKILL ends it at once."""
        process = self.start_serving()
        process.kill()
        self.assertEqual(process.wait(20), -signal.SIGKILL)

    def make(self, name: str, sections: str) -> Regbroker:
        """A regbroker that runs until the test ends."""
        made = Regbroker(self.directory / name, self.authority, sections)
        self.addCleanup(made.stop)
        made.start()
        return made

    def test_one_in_front_of_another(self) -> None:
        """Two processes are two: what goes through both is no loop."""
        authority = self.directory / "root.crt"
        authority.write_bytes(self.root_pem)
        behind = self.make("behind", SANDBOX)
        sections = FRONT.format(port=behind.port, authority=authority)
        front = self.make("front", sections)
        https = HttpsClient(front.port, self.root_pem, self.transcript)
        reply = https.get_token("/auth", "alice", "wonderland", "repository:a/b:pull")
        self.assertEqual(reply.status, 200, reply)
        headers = {"Authorization": f"Bearer {reply.json()['token']}"}
        reply = https.request("GET", "/v2/a/b/tags/list", headers)
        self.assertEqual((reply.status, reply.error_codes()), (404, ["NAME_UNKNOWN"]))
