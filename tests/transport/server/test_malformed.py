"""Lines about what is no HTTP: as many as are useful, and a filter that finds them."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import (
    formatEventAsClassicLogText,
    globalLogPublisher,
)
from twisted.trial.unittest import SynchronousTestCase

from regbroker.causes import Cause
from regbroker.events import Event, emit
from regbroker.runtime.bounded_lines import (
    MAX_LINES,
    MAX_LINES_OF_A_CLIENT,
    WINDOW_SECONDS,
)
from regbroker.transport.server.malformed import MalformedRequests

OPERATING = Path(__file__).resolve().parents[3] / "docs" / "operating.md"

#: What fail2ban puts in the place of <ADDR>.
ADDRESS = r"(?:(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})|\[?(?P<ip6>[0-9a-fA-F:]{3,})\]?)"

#: The date at the beginning, which fail2ban takes out before it looks at a line.
DATE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}")


class MalformedTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.malformed = MalformedRequests(self.clock)
        self.events: list[Any] = []
        observe: Any = self.events.append
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def lines(self) -> list[str]:
        """What was told since this was asked for last."""
        lines = [e["line"] for e in self.events if "line" in e]
        self.events.clear()
        return lines


class LimitTests(MalformedTestCase):
    def left_out(self) -> list[int]:
        """The counts that were told since this was asked for last."""
        counts = [e["left_out"] for e in self.events if "left_out" in e]
        self.events.clear()
        return counts

    def test_fields(self) -> None:
        """The event has all that is known, as fields and as a line."""
        self.malformed.tell("203.0.113.7", "no good", 400, "GET", "/v2/")
        event: Event = self.events[0]["event"]
        self.assertEqual(
            (event.client, event.status, event.method, event.path, event.outcome),
            ("203.0.113.7", 400, "GET", "/v2/", "malformed: no good"),
        )
        self.assertIs(event.cause, Cause.CLIENT_MALFORMED)
        self.assertRegex(
            self.events[0]["line"],
            "^client=203.0.113.7 .* method=GET path=/v2/ .* status=400 .* "
            'outcome="malformed: no good"$',
        )

    def test_of_a_client(self) -> None:
        """One address has some lines a minute; others have theirs."""
        for _ in range(MAX_LINES_OF_A_CLIENT + 5):
            self.malformed.tell("203.0.113.7", "no good")
        self.malformed.tell("203.0.113.8", "no good")
        self.assertEqual(len(self.lines()), MAX_LINES_OF_A_CLIENT + 1)
        self.clock.advance(WINDOW_SECONDS)
        self.assertEqual(self.left_out(), [5])
        self.malformed.tell("203.0.113.7", "no good")
        self.assertEqual(len(self.lines()), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_in_all(self) -> None:
        """So do all addresses together."""
        for number in range(MAX_LINES * 3):
            self.malformed.tell(f"2001:db8::{number:x}", "no good")
        self.assertEqual(len(self.lines()), MAX_LINES)
        self.clock.advance(WINDOW_SECONDS)
        self.assertEqual(self.left_out(), [MAX_LINES * 2])

    def test_each_is_counted_once(self) -> None:
        """However long it goes on, lines and counts are all that there was."""
        told, counted = 0, 0
        for _ in range(1000):
            self.malformed.tell("203.0.113.7", "no good")
            self.clock.advance(1)
        self.clock.advance(WINDOW_SECONDS)
        told = sum("line" in event for event in self.events)
        counted = sum(event.get("left_out", 0) for event in self.events)
        self.assertEqual(told + counted, 1000)
        self.assertLess(len(self.events), 250)

    def test_stop(self) -> None:
        """What was left out is told at the end, and no timer is left behind."""
        self.malformed.stop()
        self.assertEqual(self.left_out(), [])
        for _ in range(MAX_LINES_OF_A_CLIENT + 1):
            self.malformed.tell("203.0.113.7", "no good")
        self.events.clear()
        self.malformed.stop()
        self.assertEqual(self.left_out(), [1])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FilterTests(MalformedTestCase):
    """The failregex in docs/operating.md, on lines as twistd writes them."""

    def setUp(self) -> None:
        super().setUp()
        written = re.search(r"^ *failregex = (.*)$", OPERATING.read_text(), re.M)
        assert written is not None
        self.assertIn("<ADDR>", written[1])
        self.failregex = re.compile(written[1].replace("<ADDR>", ADDRESS))

    def banned(self) -> list[str | None]:
        """Whom the filter would ban for each line of the log; None for nobody."""
        found: list[str | None] = []
        for event in self.events:
            text = io.StringIO(formatEventAsClassicLogText(event) or "")
            for line in text:
                without_date, dates = DATE.subn("", line.rstrip("\n"))
                self.assertEqual(dates, 1, line)
                match = self.failregex.search(without_date)
                found.append(match and (match["ip4"] or match["ip6"]))
        self.events.clear()
        return found

    def test_found(self) -> None:
        """Each line is found, with its address."""
        for client in ("203.0.113.7", "2001:db8::7"):
            for reason in (
                "this is no well-formed request: the request line is not 'METHOD "
                "TARGET HTTP/1.1'",
                "the header A-B may occur only once in a request",
                "TLS, on a port that has none",
            ):
                self.malformed.tell(client, reason, 400, "GET", "/v2/")
                self.malformed.tell(client, reason)
        self.assertEqual(self.banned(), ["203.0.113.7"] * 6 + ["2001:db8::7"] * 6)

    def test_others_are_not(self) -> None:
        """Ordinary requests are not found, whatever is in them, nor are counts."""
        ours = 'outcome="malformed: x"'
        for event in (
            Event(self.clock.seconds, client="203.0.113.7", path="/v2/"),
            Event(self.clock.seconds, client="203.0.113.7", path=f"/{ours}"),
            Event(self.clock.seconds, client="203.0.113.7", user=f'a" {ours}'),
            Event(self.clock.seconds, client="203.0.113.7", outcome="broken off"),
            Event(
                self.clock.seconds,
                client="203.0.113.7",
                path=f"/\n2026-01-01T00:00:00+0000 [regbroker.events#info] {ours}",
            ),
        ):
            emit(event)
        for _ in range(MAX_LINES_OF_A_CLIENT + 1):
            self.malformed.tell("-", "a unix socket has no address")
        self.clock.advance(WINDOW_SECONDS)
        self.assertEqual(set(self.banned()), {None})

    def test_nobody_else(self) -> None:
        """A client cannot have another one banned."""
        self.malformed.tell(
            "203.0.113.7",
            "no good",
            400,
            "GET",
            '/" [regbroker.events#info] client=9.9.9.9 x outcome="malformed: x"',
        )
        self.assertEqual(self.banned(), ["203.0.113.7"])
