"""Large transfers at two workers: a reload, a stop, and a worker that is killed."""

from __future__ import annotations

import http.client
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from .peers.processes import open_files, poll
from .peers.slow_registry import BLOCK
from .transfers_case import LARGE, TransfersTestCase

SECONDS = 60.0


@dataclass(frozen=True)
class Pull:
    """A pull that has begun: which process answers it, and how far it is."""

    process: int
    response: http.client.HTTPResponse
    first: bytes


class WorkersCase(TransfersTestCase):
    main = "workers = 2\ndrain-timeout = 60"

    def setUp(self) -> None:
        super().setUp()
        poll(lambda: len(self.processes()) == 2, "workers")

    def processes(self) -> list[int]:
        """The processes of all workers, also of those that have ended."""
        said = re.findall(r"worker \d: serving, process (\d+)", self.regbroker.log())
        return [int(process) for process in said]

    def rewrite(self, old: str, new: str) -> None:
        """Change the configuration, and have it read again."""
        path = self.regbroker.configuration
        path.write_text(path.read_text().replace(old, new))
        self.assertIn("read again, and in use", self.regbroker.reload())

    def change(self) -> None:
        """Give the name another meaning, and take it back, for both workers."""
        for number in range(5):
            self.rewrite("team = acme_team", f"team = other_{number}")
            self.rewrite(f"team = other_{number}", "team = acme_team")

    def terminate(self) -> None:
        """Send SIGTERM, and wait until it has been heard."""
        self.regbroker.signal(signal.SIGTERM)
        self.regbroker.wait_for("stopping: workers: 2;")

    def assert_ended(self) -> None:
        """All processes have ended well."""
        self.assertEqual(self.regbroker.wait(), 0)
        for process in self.processes():
            self.assertRaises(ProcessLookupError, os.kill, process, 0)
        self.assertNotIn("Traceback", self.regbroker.log())

    def assert_cause(self, method: str, cause: str) -> None:
        """The one line about a transfer says why it has ended."""
        (line,) = self.lines_about(method)
        self.assertIn(f" cause={cause} ", line)
        self.assertIn(" upstream_name=acme_team/large ", line)

    def pull(self) -> Pull:
        """Begin a pull on a connection of its own."""
        connection = self.connection()
        connection.request("GET", f"{LARGE}/sha256:{'0' * 64}")
        port = connection.sock.getsockname()[1]
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        return Pull(self.worker_of(port), response, response.read(BLOCK))

    def worker_of(self, port: int) -> int:
        """The process that has the other end of a client's connection."""
        lines = Path("/proc/net/tcp").read_text().splitlines()
        (inode,) = (
            fields[9]
            for fields in map(str.split, lines)
            if fields[2].endswith(f":{port:04X}")
            and fields[1].endswith(f":{self.regbroker.port:04X}")
        )
        (process,) = (
            process
            for process in self.processes()
            if f"socket:[{inode}]" in open_files(process)
        )
        return process

    def pulls_at_both(self) -> list[Pull]:
        """Pulls that have begun; each worker has one at least."""
        begun: list[Pull] = []

        def both() -> bool:
            begun.append(self.pull())
            return len({pull.process for pull in begun}) == 2

        poll(both, "a pull at each worker", SECONDS)
        return begun

    def end(self, pull: Pull) -> None:
        """Read the rest; it is whole."""
        self.end_pull(pull.response, pull.first)

    def assert_cut(self, pull: Pull) -> None:
        """The rest does not come."""
        with self.assertRaises((http.client.IncompleteRead, OSError)):
            pull.response.read()

    def assert_causes(self, begun: list[Pull], cause: str) -> None:
        """Each pull has one line; all say why it has ended."""
        lines = self.lines_about("GET")
        self.assertEqual(len(lines), len(begun))
        self.assertEqual({f" cause={cause} " in line for line in lines}, {True})


class EnoughTimeTests(WorkersCase):
    def test_reload(self) -> None:
        """Pulls at both workers outlast every reload, byte by byte."""
        begun = self.pulls_at_both()
        self.change()
        for pull in begun:
            self.end(pull)
        self.regbroker.stop()
        self.assert_causes(begun, "done")

    def test_push_and_reload(self) -> None:
        """So does a push."""
        self.assert_pushed(self.push(self.change))
        self.assert_cause("PATCH", "done")

    def test_pull_and_stop(self) -> None:
        """A stop waits for the pulls of both workers."""
        begun = self.pulls_at_both()
        self.terminate()
        for pull in begun:
            self.end(pull)
        self.assert_ended()
        self.assert_causes(begun, "done")

    def test_push_and_stop(self) -> None:
        """And for a push."""
        self.assert_pushed(self.push(self.terminate))
        self.assert_ended()
        self.assert_cause("PATCH", "done")

    def test_second_signal(self) -> None:
        """A second signal cuts what is under way at both."""
        begun = self.pulls_at_both()
        self.terminate()
        self.regbroker.signal(signal.SIGTERM)
        self.assert_ended()
        for pull in begun:
            self.assert_cut(pull)
        self.assert_causes(begun, "stopped")

    def test_killed(self) -> None:
        """A worker that is killed takes its own pulls with it, and nobody else's."""
        begun = self.pulls_at_both()
        killed = self.processes()[0]
        os.kill(killed, signal.SIGKILL)
        self.regbroker.wait_for(rf"process {killed} has ended \(signal SIGKILL")
        for pull in [*begun, self.pull()]:
            if pull.process == killed:
                self.assert_cut(pull)
            else:
                self.end(pull)


class TooLittleTimeTests(WorkersCase):
    main = "workers = 2\ndrain-timeout = 0.2"

    def test_pull(self) -> None:
        """The pulls of both workers are cut, and the log says why."""
        begun = self.pulls_at_both()
        self.terminate()
        self.assert_ended()
        for pull in begun:
            self.assert_cut(pull)
        self.assert_causes(begun, "stopped")
