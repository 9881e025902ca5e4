"""The process that workers are forked from, as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.messages import Values, format_message, parse_messages
from regbroker.workers.fork_server import TICKET_DAYS

#: A process that starts has to import everything, on a busy machine.
SECONDS = 60.0


class ForkServerTests(SynchronousTestCase):
    """The test is the process in front, and waits for each answer."""

    def setUp(self) -> None:
        self.received: list[Values] = []
        self.rest = b""
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(SECONDS)
        self.addCleanup(self.channel.close)
        with theirs:
            self.server = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "regbroker.workers.fork_server",
                    str(theirs.fileno()),
                ],
                pass_fds=[theirs.fileno()],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        self.addCleanup(self.end)

    def end(self) -> None:
        """It ends when the process in front is gone."""
        self.channel.close()
        self.assertEqual(self.server.wait(SECONDS), 0)

    def send(self, message: Values, *descriptors: int) -> None:
        """Send a message with open files."""
        data = format_message(message | {"files": len(descriptors)})
        socket.send_fds(self.channel, [data], descriptors)

    def receive(self) -> Values:
        """The next message."""
        while not self.received:
            data = self.channel.recv(65536)
            self.assertTrue(data, "it has hung up")
            self.received, self.rest = parse_messages(self.rest + data)
        return self.received.pop(0)

    def fork(self, *numbers: int) -> list[tuple[int, socket.socket]]:
        """Workers, with the ends of their channels; all are asked for at once."""
        ends = []
        for number in numbers:
            ours, theirs = socket.socketpair()
            ours.settimeout(SECONDS)
            self.addCleanup(ours.close)
            with theirs:
                self.send(
                    {"ask": "fork", "number": number, "values": {}}, theirs.fileno()
                )
            ends.append(ours)
        workers = []
        for number, ours in zip(numbers, ends, strict=True):
            answer = self.receive()
            self.assertEqual(answer["answer"], number)
            workers.append((answer["values"]["pid"], ours))
        return workers

    def test_kill(self) -> None:
        """
        A worker is killed on request, and its end is told; nobody else holds it.

        Signals of a whole service end nobody.
        """
        (first, one), (second, other) = self.fork(1, 2)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            self.server.send_signal(number)
        for process, channel in ((second, other), (first, one)):
            self.send({"tell": "kill", "values": {"pid": process}})
            self.assertEqual(
                self.receive(),
                {
                    "tell": "ended",
                    "values": {"pid": process, "code": -signal.SIGKILL},
                    "files": 0,
                },
            )
            self.assertEqual(channel.recv(1), b"")

    def test_ended(self) -> None:
        """
        A worker whose channel is closed ends, and that is told.

        No process is killed that was not forked here.
        """
        with subprocess.Popen(["sleep", "60"]) as stranger:
            self.send({"tell": "kill", "values": {"pid": stranger.pid}})
            ((process, channel),) = self.fork(1)
            self.assertIsNone(stranger.poll())
            stranger.kill()
        channel.close()
        ended = self.receive()
        self.assertEqual(ended["values"], {"pid": process, "code": 0})


class ModuleTests(SynchronousTestCase):
    def test_as_little(self) -> None:
        """It has no reactor and no threads, which a fork would leave broken."""
        modules = [
            *("accounts.htpasswd", "assembly.admin", "assembly.identities"),
            *("assembly.local_accounts", "sandbox", "transport.client.tunnel"),
            *("upstream.document_requests", "workers.fork_server"),
        ]
        program = (
            f"import sys, threading, {', '.join(f'regbroker.{m}' for m in modules)};"
            "assert 'twisted.internet.reactor' not in sys.modules;"
            "assert threading.active_count() == 1"
        )
        subprocess.run([sys.executable, "-c", program], check=True, timeout=SECONDS)
        self.assertGreaterEqual(TICKET_DAYS, 365)
