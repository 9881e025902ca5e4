"""Lines of the log: gathered for a moment, never lost, never in halves."""

from __future__ import annotations

import errno
import subprocess
import sys
from typing import Any, cast

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import (
    ILogObserver,
    LogEvent,
    formatEvent,
    globalLogPublisher,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from regbroker.runtime.buffered_log import (
    GATHER_SECONDS,
    MAX_GATHERED,
    BufferedLog,
)

#: Writes three records, and ends without having run the reactor.
PROGRAM = """
import sys
from twisted.internet import reactor
from regbroker.runtime.buffered_log import BufferedLog
log = BufferedLog(sys.stdout, lambda event: event["line"] + "\\n", reactor)
for number in range(3):
    log({"line": str(number), "summary": ""})
raise SystemExit(3)
"""


class FakeStream:
    """Keeps each text that it is given, and whether it was flushed."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.flushed = 0
        self.problem: Exception | None = None

    def write(self, text: str) -> None:
        """Keep a text."""
        if self.problem is not None:
            raise self.problem
        self.texts.append(text)

    def flush(self) -> None:
        """Count."""
        self.flushed = len(self.texts)


class BufferedLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = cast(Any, MemoryReactorClock())
        self.stream = FakeStream()
        self.log = BufferedLog(
            self.stream, lambda event: event.get("line"), self.reactor
        )
        self.addCleanup(self.log.close)

    def record(self, line: str) -> None:
        """Log the record of a request."""
        self.log({"line": line, "summary": ""})

    def test_full(self) -> None:
        """Lines that cannot be written are lost: it is said once, and when they can."""
        others: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            others.append(formatEvent(event))
            if event["log_namespace"] == "regbroker.runtime.buffered_log":
                # This is the log that everything is in.
                self.log({"line": formatEvent(event) + "\n"})

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.stream.problem = OSError(errno.ENOSPC, "No space left on device")
        self.log({"line": "a\n"})
        self.record("b\n")
        self.record("c\n")
        self.reactor.advance(GATHER_SECONDS)
        lost = "the log cannot be written: No space left on device; its lines are lost"
        self.assertEqual(others, [f"{lost} until it can"])
        self.stream.problem = None
        self.log({"line": "d\n"})
        # Three lines, and the one that nobody could read here.
        again = "the log is written again; lines that are lost: 4"
        self.assertEqual(self.stream.texts, ["d\n", again + "\n"])
        self.assertEqual(others[1:], [again])
        self.stream.problem = ValueError("I/O operation on closed file.")
        self.log({"line": "e\n"})
        self.log.close()
        self.assertIn("I/O operation on closed file.", others[2])
        self.stream.problem = None

    def test_lost_together(self) -> None:
        """Lines of one event, as workers have sent them, are counted one by one."""
        lost: list[int] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if "lost" in event:
                lost.append(event["lost"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.stream.problem = OSError(errno.ENOSPC, "No space left on device")
        self.record("a\nb\nc\n")
        self.stream.problem = None
        self.record("d\n")
        self.reactor.advance(GATHER_SECONDS)
        self.assertEqual(lost, [3])

    def test_first_at_once(self) -> None:
        """The first line after a pause does not wait."""
        self.record("a\n")
        self.assertEqual((self.stream.texts, self.stream.flushed), (["a\n"], 1))
        self.reactor.advance(GATHER_SECONDS)
        self.record("b\n")
        self.assertEqual(self.stream.texts, ["a\n", "b\n"])

    def test_gathered(self) -> None:
        """What follows quickly is written in one step, soon, in order."""
        for line in ("a\n", "b\n", "c\n"):
            self.record(line)
        self.assertEqual(self.stream.texts, ["a\n"])
        self.reactor.advance(GATHER_SECONDS)
        self.assertEqual(self.stream.texts, ["a\n", "b\nc\n"])
        self.assertEqual(self.stream.flushed, 2)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_others_at_once(self) -> None:
        """What is no record of a request does not wait, and nothing overtakes."""
        for line in ("a\n", "b\n"):
            self.record(line)
        self.log({"line": "warning\n"})
        self.assertEqual("".join(self.stream.texts), "a\nb\nwarning\n")

    def test_bounded(self) -> None:
        """Much is written at once."""
        self.record("a\n")
        line = "b" * 1023 + "\n"
        for _ in range(MAX_GATHERED // len(line)):
            self.record(line)
        self.assertEqual(sum(map(len, self.stream.texts)), 2 + MAX_GATHERED)

    def test_left_out(self) -> None:
        """An event that is not for this log leaves no trace."""
        self.log({"log_format": "x"})
        self.assertEqual(self.stream.texts, [])

    def test_reactor_stops(self) -> None:
        """When no timer runs any more, nothing waits."""
        for line in ("a\n", "b\n"):
            self.record(line)
        self.reactor.triggers["after"]["shutdown"][0][0]()
        self.assertEqual(self.stream.texts, ["a\n", "b\n"])
        self.record("c\n")
        self.assertEqual(self.stream.texts[-1], "c\n")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_process_ends(self) -> None:
        """A process that ends without its reactor has written all lines."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
        )
        self.assertEqual((done.returncode, done.stdout), (3, "0\n1\n2\n"), done.stderr)
