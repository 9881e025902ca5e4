"""One worker, as a process of its own."""

from __future__ import annotations

import errno
import json
import socket
import urllib.request
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from regbroker.runtime.messages import AskedInVain, MessageChannel, Values
from regbroker.workers.forker import Forker
from regbroker.workers.start import Served
from tests.workers.case import SECONDS, WorkersTestCase, reactor


class WorkerTests(WorkersTestCase):
    """The test is the process in front."""

    log_format = ""

    def setUp(self) -> Any:
        super().setUp()
        self.lines: list[str] = []
        #: How it has ended.
        self.ended: Deferred[str] = Deferred()
        self.forker = Forker(reactor)
        self.channel = MessageChannel(reactor, self.hear, lambda: None)
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours:
            reactor.adoptStreamConnection(
                ours.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: self.channel)
            )
        self.addCleanup(self.end)
        forked = self.forker.fork(self.theirs.fileno(), self.ended.callback)
        return forked.addCallback(lambda _: self.theirs.close())

    async def end(self) -> None:
        """Nothing is left of it."""
        self.channel.close()
        self.assertEqual(await self.ended, "status 0")
        await self.forker.close()

    def hear(self, kind: str, values: Values, _: list[int]) -> None:
        """Keep the log."""
        self.assertEqual(kind, "log")
        self.lines += map(json.dumps, values["events"])

    async def start(self, listening: socket.socket, text: str) -> Values:
        """Have it serve."""
        served = Served(f"{self.directory}/r.ini", text, {"up": "http://127.0.0.1:1"})
        values = served.document() | {
            **{"secret": "00" * 32, "workers": 2},
            **{"log_format": self.log_format, "number": 2},
        }
        return await self.channel.ask("start", values, [listening.fileno()], SECONDS)

    async def test_serves(self) -> None:
        """It serves on the socket that it is given, and ends when the front is gone."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/healthz"
            await self.start(listening, self.text("health-path = /healthz"))
        self.assertEqual(await self.status(url), 200)
        self.assertEqual(await self.channel.ask("report", {}), {})
        self.channel.close()

    async def test_lines(self) -> None:
        """It sends lines in the format that it is told, with its number."""
        self.log_format = "json"
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/v3"
            await self.start(listening, self.text())
        self.assertEqual(await self.status(url), 404)
        await self.until(lambda: "/v3" in "".join(self.lines), "a line")
        (sent,) = [json.loads(line) for line in self.lines if "/v3" in line]
        (line,) = map(json.loads, sent["rows"])
        self.assertEqual((line["path"], line["worker"]), ("/v3", 2))
        self.channel.tell("drain", {})

    async def test_audit(self) -> None:
        """Records for an audit log that nobody writes are not made, until one is."""
        self.log_format = "line"
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/v2/app/manifests/"
            await self.start(listening, self.text())
        self.assertEqual(await self.deleted(f"{url}1"), [])
        text = self.text("audit-log = audit.log")
        served = Served(f"{self.directory}/r.ini", text, {"up": "http://127.0.0.1:1"})
        await self.channel.ask("prepare", served.document(), seconds=SECONDS)
        await self.channel.ask("commit", {}, seconds=SECONDS)
        self.assertEqual(await self.deleted(f"{url}2"), ["delete"])
        self.channel.tell("drain", {})

    async def test_another_log(self) -> None:
        """Where only the process in front knows what is read, all is told."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/v2/app/manifests/"
            await self.start(listening, self.text())
        self.assertEqual(await self.deleted(f"{url}1"), ["delete"])
        self.channel.tell("drain", {})

    async def deleted(self, url: str) -> list[str]:
        """Delete in vain; the actions that are told to the audit log by then."""
        request = urllib.request.Request(url, method="DELETE")
        self.assertEqual(await self.status(request), 503)
        await self.until(lambda: url[-10:] in "".join(self.lines), "a line")
        sent = [json.loads(line) for line in self.lines]
        return [
            dict(zip(one["names"], row[4:], strict=True))["action"]
            for one in sent
            if isinstance(one, dict) and "action" in one["names"]
            for row in one["rows"]
        ]

    async def test_report(self) -> None:
        """With an admin listener somewhere, it tells what it has counted."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/v3"
            await self.start(listening, self.text("admin-listen = tcp:0"))
        self.assertEqual(await self.status(url), 404)
        report = (await self.channel.ask("report", {}))["report"]
        self.assertEqual(report["requests"], 1)
        self.assertIn('status="404"} 1.0', report["metrics"])
        await self.until(lambda: "/v3" in "".join(self.lines), "a line")
        self.channel.tell("drain", {})

    async def test_does_not_start(self) -> None:
        """What is wrong is its answer, and it can be told something else."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            problem = await self.assertFailure(
                self.channel.ask(
                    "start",
                    Served("r.ini", "[registry *]", {}).document()
                    | {"secret": "", "workers": 2, "log_format": "", "number": 1},
                    [listening.fileno()],
                    SECONDS,
                ),
                AskedInVain,
            )
            self.assertIn("[registry *]", str(problem))
            await self.start(listening, self.text())
        self.channel.tell("hurry", {})

    async def test_not_prepared(self) -> None:
        """Sockets of a configuration that it does not take are not left open."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            await self.start(listening, self.text())
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = listening.getsockname()
            no_such_file = "[tls]\ncertificate = /nowhere\nkey = /nowhere"
            text = self.text().replace("tcp:0", "tls:0") + no_such_file
            values = Served("r.ini", text, {"up": "http://127.0.0.1:1"}).document()
            problem = await self.assertFailure(
                self.channel.ask("prepare", values, [listening.fileno()], SECONDS),
                AskedInVain,
            )
            self.assertIn("/nowhere", str(problem))
        with socket.socket() as client:
            self.assertEqual(client.connect_ex(address), errno.ECONNREFUSED)
        self.channel.tell("hurry", {})
