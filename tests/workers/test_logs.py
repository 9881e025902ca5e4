"""The log of a worker, written by the process in front."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import LogEvent, Logger, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker import events
from regbroker.events import Event, emit
from regbroker.workers import logs


class LogsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.written: list[LogEvent] = []
        self.sent: list[str] = []
        globalLogPublisher.addObserver(self.written.append)  # type: ignore[arg-type]
        self.addCleanup(
            globalLogPublisher.removeObserver,
            self.written.append,  # type: ignore[arg-type]
        )
        self.log = Logger("regbroker.made_up", observer=logs.sender(self.sent.append))

    def arrived(self) -> LogEvent:
        """The one event that was sent, as it is written."""
        (text,) = self.sent
        json.loads(text)
        logs.write(text, 2)
        (event,) = self.written
        return event

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
        self.patch(events._log, "observer", logs.sender(self.sent.append))
        here: list[LogEvent] = []
        emit(event)
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
