"""Where the log goes: processes, their output and their files."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path, PurePath
from typing import Any, cast

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger, capturedLogs, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from regbroker import audit, events
from regbroker.cli.log_output import LogOutput
from regbroker.errors import StateError
from regbroker.runtime.buffered_log import GATHER_SECONDS
from regbroker.settings.ini import parse_config
from tests.integration.peers.nursery import environment, measured_nursery

#: How long anything may take, at the worst.
DEADLINE = 60.0

CONFIG = """
[regbroker]
listen = tcp:0:interface=127.0.0.1
state-directory = state
{options}
[registry *]
upstream = sandbox
namespaces = team = acme_team
[upstream sandbox]
url = sandbox:
users = alice:wonderland
"""

#: twistd with a mistake in it, for one path.
PROGRAM = """
import regbroker.web.proxy as proxy
def parse_path(path, **options):
    if "mistake" in path:
        raise KeyError("a mistake in regbroker")
    return right(path, **options)
right, proxy.parse_path = proxy.parse_path, parse_path
from twisted.scripts.twistd import run
run()
"""

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})


class LogOutputTestCase(SynchronousTestCase):
    options = ""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.output = self.directory / "output"
        self.ini = self.directory / "regbroker.ini"
        self.ini.write_text(CONFIG.format(options=self.options))

    def start(self, *arguments: str) -> None:
        """Start twistd, and learn where it listens."""
        self.process = measured_nursery().start(
            ["-n", "--pidfile=", *arguments, "regbroker", "--config", str(self.ini)],
            self.output,
            environment(is_measured=True),
            errors=self.directory / "errors",
            program=PROGRAM,
        )
        self.addCleanup(self.end)

    def end(self) -> int:
        """End the process, if it is still there; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something is so, and the process has not ended."""
        deadline = time.monotonic() + DEADLINE
        while not is_so():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                text = self.output.read_text()
                errors = (self.directory / "errors").read_text()
                raise AssertionError(f"not {what}: {text}{errors}")
            time.sleep(0.02)

    def wait_for(self, text: str, path: Path | None = None) -> None:
        """Wait until a file has a text in it; the output by default."""
        log = path or self.output
        self.wait(lambda: log.exists() and text in log.read_text(), text)

    def lines(self, path: Path) -> list[Any]:
        """Every line of a file, each a JSON object."""
        return [json.loads(line) for line in path.read_text().splitlines()]

    def learn_port(self, path: Path) -> None:
        """Learn from a log of JSON lines where it listens."""
        self.wait_for("listening on", path)
        (url,) = (
            line["url"]
            for line in self.lines(path)
            if line.get("purpose") == "" and "url" in line
        )
        self.port = int(url.rpartition(":")[2])

    def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Ask, and return status and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def token(self, password: str, scope: str = "") -> tuple[int, bytes]:
        """Log in as alice."""
        basic = b64encode(f"alice:{password}".encode()).decode()
        path = f"/auth?service=regbroker-sandbox&scope={scope}"
        return self.ask("GET", path, Authorization=f"Basic {basic}")


class JsonTests(LogOutputTestCase):
    options = "log-format = json\naudit-log = audit.log"

    def test_run(self) -> None:
        """Every line of a run is JSON, and has no secret; the audit log is apart."""
        self.start()
        self.learn_port(self.output)
        self.assertEqual(self.ask("GET", "/v2/")[0], 401)
        self.assertEqual(self.token("guess")[0], 401)
        status, body = self.token("wonderland", "repository:team/app:pull,push,delete")
        self.assertEqual(status, 200)
        token = json.loads(body)["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        path = "/v2/team/app/manifests/1.0"
        pushed, _ = self.ask("PUT", path, MANIFEST, Content_Type=INDEX, **bearer)
        self.assertEqual(pushed, 201)
        self.assertEqual(self.ask("GET", path, **bearer)[0], 200)
        self.assertEqual(self.ask("DELETE", path, **bearer)[0], 202)
        self.assertIn(
            self.ask("GET", "/v2/team/other/tags/list", **bearer)[0], (401, 403)
        )
        self.assertEqual(self.ask("GET", "/v2/no/app/tags/list")[0], 404)
        status, body = self.ask("GET", "/v2/team/mistake/tags/list")
        self.assertEqual(status, 500)
        mistake = json.loads(body)["errors"][0]["detail"]["request_id"]
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as client:
            client.sendall(b"nonsense\r\n\r\n")
            self.assertIn(b" 400 ", client.recv(65536))
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("read again, and in use")
        self.ini.write_text(self.ini.read_text() + "[nonsense]\n")
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("not taken")
        self.assertEqual(self.end(), 0)

        lines = self.lines(self.output)
        for line in lines:
            self.assertEqual(
                list(line)[:4], ["time", "level", "namespace", "message"], line
            )
        requests = [one for one in lines if one["namespace"] == "regbroker.events"]
        self.assertEqual(len(requests), 10)
        for line in requests:
            self.assertEqual(list(line)[4:], list(events.FIELDS))
        (get,) = (
            one for one in requests if one["method"] == "GET" and one["path"] == path
        )
        self.assertEqual((get["status"], get["name"]), (200, "team/app"))
        self.assertEqual(
            (get["upstream_name"], get["user"]), ("acme_team/app", "alice")
        )
        self.assertEqual(requests[-1]["cause"], "client-malformed")
        (failed,) = (one for one in lines if "traceback" in one)
        self.assertIn("KeyError: 'a mistake in regbroker'", failed["traceback"])
        self.assertEqual(failed["request_id"], mistake)
        self.assertEqual(
            [one for one in lines if one["namespace"] == audit.NAMESPACE], []
        )

        told = self.lines(self.directory / "audit.log")
        self.assertEqual({one["namespace"] for one in told}, {audit.NAMESPACE})
        self.assertEqual(
            [(one["action"], one["outcome"]) for one in told],
            [
                ("configuration", "accepted"),
                ("login", "refused"),
                ("login", "accepted"),
                ("push", "accepted"),
                ("delete", "accepted"),
                ("access", "refused"),
                ("configuration", "accepted"),
                ("configuration", "refused"),
            ],
        )
        for line in told:
            self.assertEqual(list(line)[4:], list(audit.FIELDS))
        push = told[3]
        self.assertEqual(
            (push["user"], push["repository"], push["reference"], push["status"]),
            ("alice", "team/app", "1.0", 201),
        )
        self.assertRegex(push["digest"], "^sha256:[0-9a-f]{64}$")
        of_push = [one for one in requests if one["method"] == "PUT"]
        self.assertEqual(push["request_id"], of_push[0]["request_id"])
        self.assertIn("nonsense", told[-1]["reason"])
        everything = (
            self.output.read_text() + (self.directory / "audit.log").read_text()
        )
        for secret in ("guess", "wonderland", token, b64encode(b"alice:w").decode()):
            self.assertNotIn(secret, everything)

    def test_log_is_not_written(self) -> None:
        """A file that cannot be opened is one line, and exit status 1."""
        self.start("--logfile", str(self.directory / "none" / "log"))
        self.assertEqual(self.process.wait(DEADLINE), 1)
        self.assertIn("--logfile", (self.directory / "errors").read_text())


class ReopenTests(LogOutputTestCase):
    options = "log-format = json\naudit-log = audit.log"

    def test_renamed(self) -> None:
        """Files are renamed while requests go on, and no line is lost or broken."""
        log, audit_log = self.directory / "log", self.directory / "audit.log"
        self.start("--logfile", str(log))
        self.learn_port(log)
        asked = 0
        for turn in range(1, 4):
            for _ in range(5):
                asked += 1
                self.ask("GET", f"/v2/team/app/manifests/{asked}")
                self.token("wonderland")
            for path in (log, audit_log):
                path.rename(f"{path}.{turn}")
            # These go into the files with the new names.
            asked += 1
            self.ask("GET", f"/v2/team/app/manifests/{asked}")
            self.token("wonderland")
            self.process.send_signal(signal.SIGUSR1)
            while not (log.exists() and audit_log.exists()):
                asked += 1
                self.ask("GET", f"/v2/team/app/manifests/{asked}")
                self.token("wonderland")
        self.assertEqual(self.end(), 0)
        files = [Path(f"{log}.{turn}") for turn in range(1, 4)] + [log]
        paths = [
            line["path"]
            for file in files
            for line in self.lines(file)
            if line.get("path", "").startswith("/v2/")
        ]
        expected = [f"/v2/team/app/manifests/{n}" for n in range(1, asked + 1)]
        self.assertEqual(paths, expected)
        files = [Path(f"{audit_log}.{turn}") for turn in range(1, 4)] + [audit_log]
        logins = [
            line
            for file in files
            for line in self.lines(file)
            if line["action"] == "login"
        ]
        self.assertEqual(len(logins), asked)
        self.assertEqual(log.stat().st_mode & 0o007, 0)

    def test_cannot(self) -> None:
        """What cannot be opened again is told, and nothing ends."""
        self.start()
        self.learn_port(self.output)
        audit_log = self.directory / "audit.log"
        audit_log.rename(self.directory / "audit.1")
        audit_log.mkdir()
        self.process.send_signal(signal.SIGUSR1)
        self.wait_for("cannot be opened again")
        self.token("guess")
        self.wait_for("refused", self.directory / "audit.1")
        self.assertNotIn("are opened again", self.output.read_text())


class GatheredTests(SynchronousTestCase):
    """Lines that wait for others when the files are renamed."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.paths = self.directory / "log", self.directory / "audit.log"
        text = CONFIG.format(options="audit-log = audit.log")
        config = parse_config(text, PurePath(self.directory), lambda _: None)
        self.config = config
        self.reactor: Any = cast(Any, MemoryReactorClock())
        self.output = LogOutput("json", "", self.reactor)
        observer: Any = self.output.observer({"logfile": str(self.paths[0])})
        globalLogPublisher.addObserver(observer)
        self.addCleanup(observer.close)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        with self.output.changing_to(config):
            pass
        # The audit log, too, is no longer written to.
        self.addCleanup(self.change, "")

    def change(self, audit_log: PurePath | str) -> None:
        """Write the audit log elsewhere."""
        with self.output.changing_to(replace(self.config, audit_log=audit_log)):
            pass

    def test_takes_audit(self) -> None:
        """Records for the audit log are wanted where it is somewhere."""
        self.assertTrue(self.output.takes_audit)
        for audit_log, is_taken in (("", False), ("-", True), ("", False)):
            self.change(audit_log)
            self.assertEqual(self.output.takes_audit, is_taken)
        missing = PurePath(self.directory / "missing" / "audit.log")
        self.assertRaises(StateError, self.change, missing)
        self.assertFalse(self.output.takes_audit)

    def test_log_request(self) -> None:
        """A line that only this process writes needs no log event."""
        event = events.Event(lambda: 0.0, path='/"a')
        for log_format in "line", "json":
            path = self.directory / log_format
            output = LogOutput(log_format, "", self.reactor)
            self.assertIs(output.log_request, events.emit)
            observer: Any = output.observer({"logfile": str(path)})
            self.addCleanup(observer.close)
            with capturedLogs() as logged:
                output.log_request(event)
            self.assertEqual(list(logged), [])
        text = (self.directory / "line").read_text()
        _, _, line = text.partition(" [regbroker.events#info] ")
        self.assertEqual(line, event.line() + "\n")
        document = json.loads((self.directory / "json").read_text())
        self.assertEqual(document["path"], '/"a')

    def test_another_log(self) -> None:
        """A log that is not written here may have an audit log anywhere."""
        output = LogOutput("line", "", self.reactor)
        self.assertIs(output.observer({"logger": "a.b", "nodaemon": True}), None)
        self.assertTrue(output.takes_audit)
        self.assertIs(output.log_request, events.emit)

    def record(self, number: int) -> None:
        """Log the record of a request, and that of a login."""
        for log in (Logger("regbroker.events"), Logger(audit.NAMESPACE)):
            events.publish(log, f"{number}", f"{number}", {"number": number})

    def numbers(self, path: Path) -> list[int]:
        """The records of a file."""
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [line["number"] for line in lines if "number" in line]

    def test_before(self) -> None:
        """What came before the files are opened again stays with its time."""
        for number in range(3):
            self.record(number)
        for path in self.paths:
            # The first is written; the others wait for more.
            self.assertEqual(self.numbers(path), [0])
            path.rename(f"{path}.1")
        self.output.reopen()
        self.record(3)
        self.reactor.advance(GATHER_SECONDS)
        for path in self.paths:
            self.assertEqual(self.numbers(Path(f"{path}.1")), [0, 1, 2])
            self.assertEqual(self.numbers(path), [3])


class LineTests(LogOutputTestCase):
    def test_default(self) -> None:
        """Lines for people, as twistd writes them; SIGUSR1 ends nothing."""
        self.start()
        self.wait_for("regbroker serves")
        self.process.send_signal(signal.SIGUSR1)
        self.wait_for("SIGUSR1: ")
        self.assertIn(
            "[regbroker.transport.listening.services#info] ", self.output.read_text()
        )
        self.assertNotIn("regbroker.audit", self.output.read_text())

    def test_audit_in_log(self) -> None:
        """With a dash it stands among the lines; a reload may take it elsewhere."""
        self.ini.write_text(CONFIG.format(options="audit-log = -"))
        self.start()
        self.wait_for("[regbroker.audit#info] action=configuration outcome=accepted ")
        self.ini.write_text(CONFIG.format(options="audit-log = a/b"))
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("[regbroker] audit-log: ")
        self.wait_for("action=configuration outcome=refused ")
        (self.directory / "a").mkdir()
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("outcome", self.directory / "a" / "b")
        self.assertEqual(self.output.read_text().count("outcome=accepted"), 1)
        told = self.lines(self.directory / "a" / "b")
        self.assertEqual([one["outcome"] for one in told], ["accepted"])

    def test_later(self) -> None:
        """Logins are in an audit log that a reload names, from then on."""
        self.start()
        self.wait_for("regbroker serves")
        listening = re.search(
            r"listening on http://127\.0\.0\.1:(\d+)", self.output.read_text()
        )
        assert listening is not None
        self.port = int(listening[1])
        self.assertEqual(self.token("wonderland")[0], 200)
        audit_log = self.directory / "audit.log"
        self.ini.write_text(CONFIG.format(options="audit-log = audit.log"))
        self.process.send_signal(signal.SIGHUP)
        self.wait_for('"accepted"', audit_log)
        self.assertEqual(self.token("wrong")[0], 401)
        self.wait_for('"refused"', audit_log)
        self.assertEqual(
            [(one["action"], one["outcome"]) for one in self.lines(audit_log)],
            [("configuration", "accepted"), ("login", "refused")],
        )

    def test_full(self) -> None:
        """A full disk costs lines and is told once; a reload may leave it."""
        self.ini.write_text(CONFIG.format(options="audit-log = /dev/full"))
        self.start()
        lost = "the audit log /dev/full cannot be written: No space left on device"
        self.wait_for(lost)
        self.process.send_signal(signal.SIGUSR1)
        self.wait_for("SIGUSR1: ")
        # Nobody reads it: to open it would stop the process.
        os.mkfifo(self.directory / "pipe")
        self.ini.write_text(CONFIG.format(options="audit-log = pipe"))
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("pipe cannot be written: No such device or address; ")
        self.wait_for("not taken; regbroker goes on with what it had")
        audit_log = self.directory / "audit.log"
        self.ini.write_text(CONFIG.format(options="audit-log = audit.log"))
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("read again, and in use")
        self.wait_for('"accepted"', audit_log)
        text = self.output.read_text()
        self.assertNotIn("Traceback", text)
        self.assertNotIn("cannot be opened again", text)
        self.assertEqual(text.count(lost), 1)
