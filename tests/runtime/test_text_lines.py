"""Log events as lines for people."""

from __future__ import annotations

import time

from twisted.logger import LogEvent, Logger, LogLevel, formatEventAsClassicLogText
from twisted.trial.unittest import SynchronousTestCase

from regbroker import events
from regbroker.events import Event
from regbroker.runtime.text_lines import text_line, text_record


class TextLinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        self.log = Logger("a.b", observer=self.events.append)  # type: ignore[arg-type]

    def test_like_twisted(self) -> None:
        """Lines are those that Twisted writes, in another second, too."""
        self.log.info("{line}", line="x=1", summary="s")
        self.log.warn("{line}", line="x=2", summary="s")
        self.log.info("{a} is {b}", a=1, b="2\n3")
        self.log.info("{line}", line="x=4", log_system="other")
        self.events[1]["log_time"] += 3600
        for event in self.events:
            self.assertEqual(text_line(event), formatEventAsClassicLogText(event))

    def test_record(self) -> None:
        """The record of a request is the line of its log event, whatever is in it."""
        self.patch(events._log, "observer", self.events.append)
        self.patch(time, "time", lambda: 1.5e9 + 0.25)
        for text in ("", "/v2/", "a b", 'é"\\', "a\nb=c", "\udce9", "a" * 999):
            event = Event(lambda: 0.0, user=text, path=text, outcome=text)
            event.upstream_seconds = 0.25
            self.patch(events, "time", time.time)
            events.emit(event)
            told = self.events.pop()
            self.assertEqual(text_record(event), text_line(told))
            self.assertEqual(text_record(event), formatEventAsClassicLogText(told))

    def test_nothing_to_say(self) -> None:
        """An event without a text is left out."""
        self.assertIsNone(text_line({"log_level": LogLevel.info}))
