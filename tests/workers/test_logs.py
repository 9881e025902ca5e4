"""The log of a worker, written by the process in front."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.logger import LogEvent, Logger, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker import events
from regbroker.events import Event, emit, publish
from regbroker.workers import logs


class LogsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.written: list[LogEvent] = []
        self.sent: list[list[Any]] = []
        #: What is called when they have waited long enough.
        self.later: list[Callable[[], object]] = []
        globalLogPublisher.addObserver(self.written.append)  # type: ignore[arg-type]
        self.addCleanup(
            globalLogPublisher.removeObserver,
            self.written.append,  # type: ignore[arg-type]
        )
        self.sender = logs.Sender(self.sent.append, self.later.append)
        self.log = Logger("regbroker.made_up", observer=self.sender)

    def arrived(self) -> LogEvent:
        """The one event that was sent, as it is written."""
        self.arrive()
        (event,) = self.written
        return event

    def arrive(self) -> None:
        """Write all that was sent, as it comes through the channel."""
        for told in self.sent:
            logs.write(json.loads(json.dumps(told)), 2)

    def test_event(self) -> None:
        """Level, namespace, fields and text are the same, and the worker is a field."""
        self.log.warn("{what} for {thing.real}", what="words", thing=3, status=401)
        event: Any = self.arrived()
        self.assertEqual(formatEvent(event), "words for 3")
        self.assertEqual(event["log_level"].name, "warn")
        self.assertEqual(event["log_namespace"], "regbroker.made_up")
        self.assertEqual((event["status"], event["worker"]), (401, 2))

    def test_record(self) -> None:
        """The record of a request is the same event, but for the object of it."""
        event = Event(lambda: 0.0, client="192.0.2.1", method="GET", path='/"\udce9')
        event.upstream_seconds = 0.25
        self.patch(events._log, "observer", self.sender)
        here: list[LogEvent] = []
        emit(event)
        self.turn()
        sent: Any = self.arrived()
        self.patch(events._log, "observer", here.append)
        emit(event)
        expected: Any = here[0]
        stays = {"event", "log_logger", "log_source"}
        self.assertEqual(stays & set(sent), set())
        self.assertEqual(sent.pop("worker"), 2)
        self.assertLess(abs(sent.pop("log_time") - expected["log_time"]), 60)
        for name in set(expected) - stays - {"log_time"}:
            self.assertEqual(sent[name], expected[name], name)
        self.assertEqual(formatEvent(sent), event.line())

    def turn(self) -> None:
        """Let some time pass."""
        for call in self.later:
            call()
        self.later.clear()

    def record(self, path: str) -> None:
        """Tell of a request."""
        self.patch(events._log, "observer", self.sender)
        emit(Event(lambda: 0.0, path=path))

    def test_one_message(self) -> None:
        """Records that come together are one message, with each name once."""
        for path in "/a", "/b", "/c":
            self.record(path)
        self.assertEqual((self.sent, len(self.later)), ([], 1))
        self.turn()
        self.record("/d")
        self.turn()
        self.assertEqual(len(self.sent), 2)
        self.assertEqual(json.dumps(self.sent[0]).count("upstream_seconds"), 4)
        self.arrive()
        self.assertEqual([e["path"] for e in self.written], ["/a", "/b", "/c", "/d"])

    def test_order(self) -> None:
        """A warning is sent at once, behind what came before; kinds may be mixed."""
        self.record("/a")
        publish(Logger("regbroker.audit", observer=self.sender), "l", "s", {"x": 1})
        self.record("/b")
        self.log.warn("now")
        self.assertEqual(len(self.sent), 1)
        self.record("/c")
        self.turn()
        self.arrive()
        told = [e.get("path", e.get("x", e["log_format"])) for e in self.written]
        self.assertEqual(told, ["/a", 1, "/b", "now", "/c"])
        self.assertEqual({e["worker"] for e in self.written}, {2})

    def test_many(self) -> None:
        """Very many records are sent before their time."""
        for n in range(logs.MOST_RECORDS + 1):
            self.record(f"/{n}")
        self.assertEqual(len(self.sent), 1)
        self.sender.flush()
        self.turn()
        self.arrive()
        self.assertEqual(len(self.written), logs.MOST_RECORDS + 1)
        self.assertEqual(len(self.sent), 2)

    def test_lines(self) -> None:
        """Where the format is known, records of requests are sent as lines."""
        self.sender.make_lines("line", 2)
        for path in "/a", '/"b':
            self.record(path)
        publish(Logger("regbroker.audit", observer=self.sender), "l", "s", {"x": 1})
        self.record("/c")
        self.turn()
        ((first, audited, last),) = self.sent
        self.assertEqual((len(first["rows"]), len(last["rows"])), (2, 1))
        self.assertEqual((first["names"], audited["names"]), ((), ("x",)))
        self.arrive()
        lines: Any = [event.get("lines") for event in self.written]
        self.assertEqual(lines[1], None)
        head = "[regbroker.events#info] client=- "
        for line, path in zip(
            (*lines[0].splitlines(), *lines[2].splitlines()),
            ("/a", '"/?b"', "/c"),
            strict=True,
        ):
            self.assertIn(head, line)
            self.assertIn(f" path={path} ", line)
        self.assertTrue(lines[0].endswith("\n") and lines[2].endswith("\n"))
        self.assertEqual(lines[0], formatEvent(self.written[0]))

    def test_requests(self) -> None:
        """A line is sent without a log event, in its place."""
        self.sender.make_lines("", 2)
        self.assertIs(self.sender.log_request, emit)
        self.sender.make_lines("line", 2)
        self.sender.log_request(Event(lambda: 0.0, path='/"a'))
        self.record('/"b')
        self.turn()
        ((sent,),) = self.sent
        first, second = sent["rows"]
        self.assertEqual(
            first.partition(" [")[2].replace("/?a", "/?b"), second.partition(" [")[2]
        )

    def test_json_requests(self) -> None:
        """As JSON it is the same, with the worker's number."""
        self.sender.make_lines("json", 2)
        self.sender.log_request(Event(lambda: 0.0, path="/a"))
        self.record("/a")
        self.turn()
        ((sent,),) = self.sent
        first, second = (
            json.loads(row, object_pairs_hook=list) for row in sent["rows"]
        )
        self.assertEqual(first[1:], second[1:])
        self.assertEqual(first[-1], ("worker", 2))

    def test_json_lines(self) -> None:
        """The same as JSON, with the worker's number; a warning is no record."""
        self.sender.make_lines("json", 2)
        self.record("/a")
        self.log.warn("now")
        self.arrive()
        line, warning = self.written
        document = json.loads(line["lines"])
        self.assertEqual((document["path"], document["worker"]), ("/a", 2))
        self.assertEqual(warning["log_format"], "now")

    def test_failure(self) -> None:
        """A traceback comes through, and no object does."""
        try:
            raise ValueError("broken", object())
        except ValueError:
            self.log.failure("it failed", Failure())
        event: Any = self.arrived()
        self.assertIn("test_failure", event["log_failure"].getTraceback())
        # Trial has seen no error of this process.
        self.flushLoggedErrors()
