"""One line per request, which nothing that a client writes can break."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import (
    LogEvent,
    LogLevel,
    capturedLogs,
    formatEvent,
    formatEventAsClassicLogText,
)
from twisted.trial.unittest import SynchronousTestCase

from regbroker import events
from regbroker.causes import Cause
from regbroker.events import FIELDS, Event, emit, new_request_id
from regbroker.runtime import logfmt
from regbroker.runtime.logfmt import MAX_TEXT, Fields, LineFormat
from tests.grammar import EXAMPLES, hostile
from tests.logfields import ATTACKS, fields


class EventTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def test_whole(self) -> None:
        """Everything that an operator wants to know, in one line."""
        self.clock.advance(1000)
        event = Event(
            self.clock.seconds,
            client="192.0.2.1",
            user="alice",
            registry="registry.example.com",
            method="GET",
            path="/v2/team/app/manifests/1.0",
            public_name="team/app",
            upstream="aliyun",
            upstream_name="acme_team/app",
            upstream_method="HEAD",
            status=200,
            bytes_in=5,
            bytes_out=1234,
            upstream_seconds=0.25,
            tls="TLSv1.3",
            request_id="0123456789ab",
        )
        self.clock.advance(1.5)
        self.assertEqual(event.seconds, 1.5)
        self.assertEqual(
            event.line(),
            "client=192.0.2.1 user=alice registry=registry.example.com method=GET "
            "path=/v2/team/app/manifests/1.0 name=team/app upstream=aliyun "
            "upstream_name=acme_team/app upstream_method=HEAD status=200 bytes_in=5 "
            "bytes_out=1234 upstream_seconds=0.250 seconds=1.500 tls=TLSv1.3 "
            "request_id=0123456789ab cause=done outcome=done",
        )

    def test_empty(self) -> None:
        """What is not known is a dash, so that the fields stay in their places."""
        self.assertEqual(
            Event(self.clock.seconds).line(),
            "client=- user=- registry=- method=- path=- name=- upstream=- "
            "upstream_name=- upstream_method=- status=- bytes_in=0 bytes_out=0 "
            "upstream_seconds=- seconds=0.000 tls=- request_id=- cause=done "
            "outcome=done",
        )

    def test_times(self) -> None:
        """In milliseconds, as in the fields, however long it took."""
        event = Event(self.clock.seconds)
        for seconds, written in (
            (0, "0.000"),
            (0.0004, "0.000"),
            (0.0016, "0.002"),
            (0.9996, "1.000"),
            (3600.0254, "3600.025"),
        ):
            event.upstream_seconds = seconds
            line, fields = event.line(seconds), event.fields(seconds)
            self.assertIn(f" upstream_seconds={written} seconds={written} ", line)
            for name in ("upstream_seconds", "seconds"):
                self.assertEqual(fields[name], float(written))

    def test_upstream_method(self) -> None:
        """The methods in their order; what is sent again is told once."""
        event = Event(self.clock.seconds)
        for method in ("HEAD", "HEAD", "GET", "GET"):
            event.asks_with(method)
        self.assertEqual(event.upstream_method, "HEAD,GET")

    def test_upstream_time(self) -> None:
        """The last time that an upstream took, or the sum; also of what fails."""
        event = Event(self.clock.seconds)
        for seconds, more, noted in ((2, False, 2), (3, False, 3), (1.5, True, 4.5)):
            with self.assertRaises(KeyError), event.upstream_time(more):
                self.clock.advance(seconds)
                raise KeyError
            self.assertEqual(event.upstream_seconds, noted)

    def test_outcome(self) -> None:
        """Who broke off is told in a sentence that can be read."""
        event = Event(self.clock.seconds, outcome="the client closed the connection")
        self.assertTrue(
            event.line().endswith(' outcome="the client closed the connection"')
        )


class InjectionTests(SynchronousTestCase):
    TEXTS = (
        "client",
        "user",
        "registry",
        "method",
        "path",
        "public_name",
        "upstream",
        "upstream_name",
        "tls",
        "request_id",
        "outcome",
    )

    def check(self, line: str) -> None:
        """A line has its fields, all of them, once, in order, in printable ASCII."""
        self.assertRegex(line, r"\A[ -~]+\Z")
        self.assertEqual([name for name, _ in fields(line)], list(FIELDS))
        self.assertEqual(dict(fields(line))["status"], "401")

    def test_attacks(self) -> None:
        """No text in any field makes another field or another line."""
        for field in self.TEXTS:
            for text in ATTACKS:
                event = Event(Clock().seconds, status=401, **{field: text})  # type: ignore[arg-type]
                self.check(event.line())
                self.assertLess(len(event.line()), 600)

    @EXAMPLES
    @given(st.lists(hostile, min_size=11, max_size=11))
    def test_anything(self, texts: list[str]) -> None:
        """Nor do texts in all fields at once."""
        given_texts = dict(zip(self.TEXTS, texts, strict=True))
        event = Event(Clock().seconds, status=401, **given_texts)  # type: ignore[arg-type]
        self.check(event.line())

    def test_in_one_step_alone(self) -> None:
        """Where nothing is odd, a line is not made of the fields once more."""

        class Plain(LineFormat):
            def __call__(self, fields: Fields) -> str:
                raise AssertionError("made again")

        self.patch(events, "_line_of", Plain(FIELDS))
        for given_texts in ({}, dict.fromkeys(self.TEXTS, "a")):
            event = Event(Clock().seconds, status=200, **given_texts)  # type: ignore[arg-type]
            self.assertIn(" status=200 ", event.line())
            event.public_name = event.path = "a" * (MAX_TEXT - len("path="))
            self.assertIn(f" name={event.public_name} ", event.line())
            event.path = "a b"
            self.assertRaises(AssertionError, event.line)

    def test_long(self) -> None:
        """A text is cut where it is too long, however long or short the line is."""
        for others in ("", "a", "a" * MAX_TEXT):
            for length in (MAX_TEXT - 1, MAX_TEXT, MAX_TEXT + 1, 2 * MAX_TEXT):
                texts = dict.fromkeys(self.TEXTS, others) | {"path": "p" * length}
                event = Event(Clock().seconds, **texts)  # type: ignore[arg-type]
                told = dict(fields(event.line()))
                self.assertEqual(told["path"], "p" * min(length, MAX_TEXT))
                self.assertEqual(told["name"], others or "-")

    @EXAMPLES
    @given(
        st.lists(st.one_of(st.just(""), st.just("a"), hostile), min_size=11),
        st.sampled_from([None, 0.0, 0.0126, 71.5]),
        st.sampled_from(Cause),
        st.integers(0, 999),
    )
    def test_in_one_step(
        self, texts: list[str], seconds: float | None, cause: Cause, number: int
    ) -> None:
        """A line has the fields as `LineFormat` writes them, however it was made."""
        event = Event(Clock().seconds, status=number, bytes_in=number, cause=cause)
        for name, text in zip(self.TEXTS, texts, strict=False):
            setattr(event, name, text)
        event.bytes_out, event.upstream_seconds = 2 * number, seconds
        self.assertEqual(event.line(), LineFormat(FIELDS)(event.fields()))


class PublicTests(SynchronousTestCase):
    def test_names(self) -> None:
        """What belongs to the lines is to be had from here, too."""
        for name in ("MAX_TEXT", "Fields", "LineFormat"):
            self.assertIn(name, events.__all__)
            self.assertIs(getattr(events, name), getattr(logfmt, name))


class FieldsTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Names are those of the table, and none is a word of Twisted's own."""
        self.assertEqual(list(Event(Clock().seconds).fields()), list(FIELDS))
        reserved = {"time", "system", "message", "format", "level", "failure", "why"}
        self.assertEqual(reserved & set(FIELDS), set())

    def test_values(self) -> None:
        """Numbers are numbers, times have milliseconds, what is unknown is None."""
        clock = Clock()
        event = Event(clock.seconds, user='a"b', upstream_seconds=1.23456, status=200)
        clock.advance(2.5)
        told = event.fields()
        self.assertEqual(told["user"], 'a"b')
        self.assertEqual(told["status"], 200)
        self.assertEqual(told["upstream_seconds"], 1.235)
        self.assertEqual(told["seconds"], 2.5)
        self.assertEqual(told["cause"], "done")
        self.assertIs(told["client"], None)
        self.assertIs(Event(clock.seconds).fields()["upstream_seconds"], None)

    def test_request_ids(self) -> None:
        """Ids that are made here are short, and all different."""
        made = {new_request_id() for _ in range(100)}
        self.assertEqual(len(made), 100)
        for each in made:
            self.assertRegex(each, "^[0-9a-f]{12}$")


class EmitTests(SynchronousTestCase):
    def test_logged(self) -> None:
        """The line is what is logged, with the event for those who want more."""
        for text in ATTACKS:
            event = Event(Clock().seconds, user=text, path="/v2/{line}/{event}")
            with capturedLogs() as logged:
                emit(event)
            (entry,) = logged
            self.assertEqual(formatEvent(entry), event.line())
            self.assertIs(entry["event"], event)
            told = {name: entry[name] for name in FIELDS}
            self.assertEqual(list(told.items()), list(event.fields().items()))
            self.assertEqual(entry["log_level"], LogLevel.info)
            text_line = formatEventAsClassicLogText(entry)
            assert text_line is not None
            self.assertEqual(text_line.count("\n"), 1)

    def test_one_time(self) -> None:
        """Line and fields say the same time, though the clock goes on between them."""
        told: list[LogEvent] = []
        self.patch(events._log, "observer", told.append)
        ticks = count()
        emit(Event(lambda: float(next(ticks))))
        (event,) = told
        self.assertEqual(event["seconds"], 1.0)
        self.assertIn(" seconds=1.000 ", event["line"])
