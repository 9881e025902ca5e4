"""What two workers do as one service: certificates, counts, systemd, logs."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import threading
import time
import urllib.request
from collections import Counter
from datetime import datetime
from typing import Any

from .case import PeersTestCase
from .peers.https_client import HttpsClient, basic
from .peers.nursery import environment, nursery
from .peers.processes import Server, poll
from .peers.regbroker import Regbroker
from .peers.systemd import NotifySocket

WORKERS = {1, 2}

SECTIONS = """\
[registry *]
upstream = sandbox
namespaces = team = acme_team

[upstream sandbox]
url = sandbox:
users = alice:wonderland
"""

ALICE = {"Authorization": basic("alice", "wonderland")}
MAPPED = "/v2/team/app/manifests/1"
UNKNOWN = "/v2/elsewhere/app/manifests/1"


def json_lines(text: str) -> list[Any]:
    """Each line of a log, which is a JSON object and ends."""
    assert not text or text.endswith("\n"), text[-200:]
    return [json.loads(line) for line in text.splitlines()]


def whole_lines(text: str) -> list[Any]:
    """The same of a log that is being written to."""
    return json_lines(text[: text.rfind("\n") + 1])


def answered(lines: list[Any]) -> dict[str, int]:
    """The worker that has answered a request, by the request's id."""
    return {
        line["request_id"]: line["worker"]
        for line in lines
        if line["namespace"] == "regbroker.events"
    }


class TogetherTestCase(PeersTestCase):
    """Two workers, a sandbox behind them, and a log that names the worker."""

    main = "workers = 2\nlog-format = json\nadmin-listen = tcp:0"

    def prepare(self, variables: dict[str, str] | None = None) -> None:
        """Prepare a regbroker that ends with the test."""
        self.regbroker = Regbroker(
            self.directory / "regbroker",
            self.authority,
            SECTIONS,
            main=self.main,
            environment=variables,
        )
        self.addCleanup(self.regbroker.stop)

    def start(self) -> None:
        """Start it, and wait for both workers."""
        self.prepare()
        self.regbroker.start()
        for number in WORKERS:
            self.regbroker.wait_for(rf"worker {number}: serving")
        self.make_client(self.regbroker.port)

    def make_client(self, port: int) -> None:
        """Make a client; each request has a connection of its own."""
        self.client = HttpsClient(port, self.root_pem, self.transcript)

    def lines(self) -> list[Any]:
        """The log."""
        return whole_lines(self.regbroker.log())

    def request_id(self, target: str, status: int) -> str:
        """The id of a request, which is answered with this status."""
        reply = self.client.request("GET", target)
        self.assertEqual(reply.status, status, reply)
        return reply.one("X-Request-Id")

    def until_both(self, ids: set[str], target: str, status: int) -> None:
        """Ask again and again until each worker has answered one of the requests.

        The ids of all requests are added to `ids`.
        """
        asked: set[str] = set()

        def both() -> bool:
            asked.add(self.request_id(target, status))
            workers = answered(self.lines())
            return {workers[one] for one in asked if one in workers} == WORKERS

        poll(both, f"both workers to answer {target}")
        ids |= asked

    def ask(self, path: str) -> str:
        """A page of the admin listener."""
        url = self.regbroker.admin_url().partition('"')[0]
        with urllib.request.urlopen(url + path, timeout=10) as reply:
            return str(reply.read().decode())


class CertificateTests(TogetherTestCase):
    """A certificate that is renewed on the disk, and nobody says so."""

    def serial(self) -> tuple[str, int]:
        """The id of a request on a new connection, and the certificate's number."""
        connection = self.client.connect()
        try:
            connection.request("GET", "/v2/")
            assert isinstance(connection.sock, ssl.SSLSocket)
            shown = connection.sock.getpeercert()
            reply = connection.getresponse()
            reply.read()
        finally:
            connection.close()
        assert shown is not None
        return reply.headers["X-Request-Id"], int(str(shown["serialNumber"]), 16)

    def test_renewed(self) -> None:
        """Both workers show the new one soon, and none shows the old one again."""
        self.start()
        _, before = self.serial()
        pair = self.authority.issue("localhost", "127.0.0.1")
        pair.write(self.regbroker.directory, "server")
        wanted = pair.certificate.serial_number
        self.assertNotEqual(before, wanted)
        shown: dict[str, int] = {}

        def workers_with(serial: int) -> set[int]:
            workers = answered(self.lines())
            return {workers[one] for one in shown if shown[one] == serial} & WORKERS

        def by_both() -> bool:
            request_id, serial = self.serial()
            # The line of a request may come after its answer.
            poll(lambda: request_id in answered(self.lines()), "the request's line")
            shown[request_id] = serial
            return workers_with(wanted) == WORKERS

        # They look every ten seconds.
        poll(by_both, "the new certificate at both workers", 60)
        self.assertLessEqual(set(shown.values()), {before, wanted})
        for _ in range(20):
            self.assertEqual(self.serial()[1], wanted)
        log = self.regbroker.log()
        self.assertNotIn("read again, and in use", log)
        self.assertNotIn("clients still see the certificate from before", log)


class CountTests(TogetherTestCase):
    """The admin listener tells of the service, not of a worker."""

    def metric(self, name: str) -> float:
        """The sum of a metric, whatever its labels."""
        pattern = rf"^{name}(?:\{{.*\}})? (\S+)$"
        found = re.findall(pattern, self.ask("/metrics"), re.MULTILINE)
        return sum(map(float, found))

    def tile(self, what: str) -> int:
        """A number at the top of the status page."""
        pattern = rf"<b>([\d,]+)</b><span[^>]*>{what}</span>"
        match = re.search(pattern, self.ask("/status"))
        assert match is not None
        return int(match[1].replace(",", ""))

    def test_sums(self) -> None:
        """Requests, and logins that were refused: what both have counted."""
        self.start()
        ids: set[str] = set()
        self.until_both(ids, UNKNOWN, 404)
        wrong = {"Authorization": basic("alice", "a guess")}
        for _ in range(5):
            reply = self.client.request("GET", "/v2/", wrong)
            self.assertEqual(reply.status, 401, reply)
            ids.add(reply.one("X-Request-Id"))
        poll(lambda: ids <= answered(self.lines()).keys(), "a line for each request")
        by_worker = Counter(answered(self.lines()).values())
        self.assertEqual(by_worker.keys(), WORKERS)
        self.assertEqual(sum(by_worker.values()), len(ids))
        self.assertEqual(self.metric("regbroker_http_requests_total"), len(ids))
        self.assertEqual(self.metric("regbroker_logins_total"), 5)
        self.assertEqual(self.tile("requests"), len(ids))
        self.assertEqual(self.tile("logins refused"), 5)
        self.assertIn("2 of 2 workers", self.ask("/"))


class NotifyTests(TogetherTestCase):
    """What a real NOTIFY_SOCKET hears of a service with workers."""

    def test_life(self) -> None:
        """READY is said of both workers, at the start and after a reload."""
        notified = NotifySocket(self.directory / "notify")
        self.addCleanup(notified.close)
        self.prepare({"NOTIFY_SOCKET": str(notified.path)})
        self.regbroker.start()
        self.make_client(self.regbroker.port)
        ready = notified.wait_for("READY")
        heard = time.time()
        states = json.loads(self.ask("/ready"))["workers"]
        self.assertEqual(states, {"1": "serving", "2": "serving"})
        for number in WORKERS:
            self.regbroker.wait_for(rf"worker {number}: serving")
        for line in self.lines():
            if re.match(r"worker \d: serving", line["message"]):
                said = datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%f%z")
                self.assertLessEqual(said.timestamp(), heard)
        self.assertEqual(
            ready["STATUS"], f"serving https://127.0.0.1:{self.client.port}"
        )
        self.until_both(set(), UNKNOWN, 404)

        path = self.regbroker.configuration
        path.write_text(path.read_text().replace("team = acme", "elsewhere = acme"))
        self.regbroker.signal(signal.SIGHUP)
        self.assertIn("MONOTONIC_USEC", notified.wait_for("RELOADING"))
        self.assertEqual(notified.wait_for("READY"), ready)
        # From now on, no worker has the mapping from before.
        self.until_both(set(), UNKNOWN, 401)
        self.until_both(set(), MAPPED, 404)

        self.regbroker.signal(signal.SIGTERM)
        self.assertIn("EXTEND_TIMEOUT_USEC", notified.wait_for("STOPPING"))
        self.assertEqual(self.regbroker.wait(), 0)
        self.assertEqual(
            [next(iter(message)) for message in notified.messages],
            ["READY", "RELOADING", "READY", "STOPPING"],
        )


class RenamedLogTests(TogetherTestCase):
    """Log and audit log in files, which are renamed while both workers answer."""

    main = "workers = 2\nlog-format = json\naudit-log = audit.log"

    def setUp(self) -> None:
        super().setUp()
        self.prepare()
        directory = self.regbroker.directory
        self.log, self.audit = directory / "log", directory / "audit.log"
        options = ["-n", "--pidfile=", "--logfile", str(self.log), "regbroker"]
        options += ["--config", str(self.regbroker.configuration)]
        self.server = Server(
            "twistd",
            directory / "output",
            lambda output: nursery().start(options, output, environment()),
        )
        self.addCleanup(self.server.stop)
        poll(self.serves, "both workers")
        (url,) = re.findall(r"listening on https://(\S+?)\"", self.log.read_text())
        self.make_client(int(url.rpartition(":")[2]))

    def serves(self) -> bool:
        """Tell whether both workers serve."""
        text = self.log.read_text() if self.log.exists() else ""
        return all(f"worker {number}: serving" in text for number in WORKERS)

    def lines(self) -> list[Any]:
        return whole_lines(self.log.read_text())

    def log_in(self) -> str:
        """The id of a request with a password, which is in both logs."""
        reply = self.client.request("GET", "/v2/", ALICE)
        self.assertEqual(reply.status, 200, reply)
        return reply.one("X-Request-Id")

    def test_renamed(self) -> None:
        """Each request has a whole line in both; later ones are in the new files."""
        asked: set[str] = set()
        enough = threading.Event()

        def load() -> None:
            while not enough.is_set():
                asked.add(self.log_in())

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        files = (self.log, self.audit)
        old = [path.with_suffix(".1") for path in files]
        try:
            poll(lambda: set(answered(self.lines()).values()) == WORKERS, "both")
            for path, renamed in zip(files, old, strict=True):
                path.rename(renamed)
            count = len(asked)
            poll(lambda: len(asked) > count + 10, "requests after the renaming")
            self.assertFalse(any(path.exists() for path in files))
            self.regbroker_signal(signal.SIGUSR1)
            poll(lambda: self.log.exists() and self.has_reopened(), "new files")
            closed = [path.read_text() for path in old]
            later: set[str] = set()

            def both_again() -> bool:
                later.add(self.log_in())
                return set(answered(self.lines()).values()) == WORKERS

            poll(both_again, "both workers in the new file")
        finally:
            enough.set()
            for thread in threads:
                thread.join()
        self.server.stop()
        self.assertEqual([path.read_text() for path in old], closed)
        for before, path in zip(old, files, strict=True):
            first, second = (
                Counter(self.ids(json_lines(each.read_text())))
                for each in (before, path)
            )
            self.assertLessEqual(later, second.keys())
            # All are there, once.
            self.assertEqual(first + second, Counter(asked | later))

    def regbroker_signal(self, number: signal.Signals) -> None:
        """Send the process in front a signal."""
        os.kill(self.server.pid, number)

    def has_reopened(self) -> bool:
        """Tell whether the new log says that all files are new."""
        return "SIGUSR1: " in self.log.read_text() and self.audit.exists()

    def ids(self, lines: list[Any]) -> list[str]:
        """The ids of the requests in a log, or in an audit log."""
        return [
            line["request_id"]
            for line in lines
            if line["namespace"] == "regbroker.events" or line.get("action") == "login"
        ]
