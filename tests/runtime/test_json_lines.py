"""Log events as JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker import events
from regbroker.runtime.json_lines import MAX_LINE, json_line, json_record
from tests.grammar import EXAMPLES


def parsed(line: str) -> Any:
    """What the only line of a text says, for a reader that takes no nonsense."""
    assert line.endswith("\n") and line.isascii() and line.count("\n") == 1
    assert len(line) <= MAX_LINE + 1

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(line, parse_constant=refuse)


class JsonLineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        self.log = Logger("a.b", observer=self.events.append)  # type: ignore[arg-type]

    def line(self) -> Any:
        """The line of the last event, read."""
        return parsed(json_line(self.events[-1]))

    def test_whole(self) -> None:
        """Time, level, namespace, message and fields."""
        self.log.warn("{name} has {count}", name='a"b\n', count=3, half=0.5, no=None)
        self.events[-1]["log_time"] = 1_700_000_000.1234
        self.assertEqual(
            self.line(),
            {
                "time": "2023-11-14T22:13:20.123Z",
                "level": "warn",
                "namespace": "a.b",
                "message": 'a"b\n has 3',
                "name": 'a"b\n',
                "count": 3,
                "half": 0.5,
                "no": None,
            },
        )

    def test_record(self) -> None:
        """The record of a request is the line of its log event, and what is added."""
        self.patch(events._log, "observer", self.events.append)
        for path in ("/v2/", "/v2/\xe9", "/\ud800", '/\x00\\u"', "/" + "a" * 5000):
            event = events.Event(lambda: 1.0, path=path, status=404, bytes_out=12)
            events.emit(event)
            expected, record = self.line(), parsed(json_record(event, worker=3))
            self.assertRegex(record.pop("time"), r"^20\d\d-.*Z$")
            del expected["time"]
            self.assertEqual(list(record.items()), [*expected.items(), ("worker", 3)])

    def test_order(self) -> None:
        """What every event has comes first, so that people can read it, too."""
        self.log.info("x", a=1)
        self.assertEqual(
            list(self.line()), ["time", "level", "namespace", "message", "a"]
        )

    def test_objects(self) -> None:
        """What is no text or number is in the message alone."""
        self.log.info("{thing}", thing=[1], other=object(), inf=float("inf"))
        self.assertEqual(set(self.line()) & {"thing", "other", "inf"}, set())
        self.assertEqual(self.line()["message"], "[1]")

    def test_summary(self) -> None:
        """A summary is the message, where the fields say everything."""
        self.log.info("{line}", line="a=1 b=2", summary="a", a=1, b=2)
        line = self.line()
        self.assertEqual((line["message"], line["a"], line["b"]), ("a", 1, 2))
        self.assertEqual(set(line) & {"line", "summary"}, set())

    def test_reserved(self) -> None:
        """No field takes the place of what every event has."""
        self.log.info("real", time="x", message="y", namespace="z", traceback="t")
        line = self.line()
        self.assertEqual((line["message"], line["namespace"]), ("real", "a.b"))
        self.assertRegex(line["time"], r"^\d{4}-.*Z$")

    def test_traceback(self) -> None:
        """A failure has its traceback, in one field."""
        try:
            raise KeyError("missing")
        except KeyError:
            self.log.failure("work failed", Failure())
        line = self.line()
        self.assertEqual((line["level"], line["message"]), ("critical", "work failed"))
        self.assertIn("\n", line["traceback"])
        self.assertIn("KeyError: 'missing'", line["traceback"])

    def test_long(self) -> None:
        """No line is longer than journald takes, whatever is in it."""
        for text in ("x" * 100_000, "é" * 100_000, "\0" * 100_000):
            many = {f"f{number}": text for number in range(100)}
            self.log.info("{text}", text=text, **many)
            self.assertTrue(self.line()["message"])
        try:
            raise KeyError("é" * 100_000)
        except KeyError:
            self.log.failure("{text}", Failure(), text="é" * 9000, more="é" * 9000)
        self.assertIn("traceback", self.line())

    def test_bare(self) -> None:
        """An event of the old kind, with next to nothing, is a line, too."""
        self.assertEqual(parsed(json_line({}))["level"], "info")
        self.assertEqual(
            parsed(json_line({"log_format": "{x", "log_level": LogLevel.info}))[
                "level"
            ],
            "info",
        )

    @EXAMPLES
    @given(st.text(), st.text(st.characters()), st.floats(), st.integers())
    def test_anything(self, text: str, other: str, number: float, whole: int) -> None:
        """Whatever is in the fields, one line comes out that can be read."""
        self.log.info("{a}{b}", a=text, b=other, c=number, d=whole)
        self.line()
