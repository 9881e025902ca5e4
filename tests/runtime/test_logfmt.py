"""Lines of a log, which nothing that a client writes can break."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.logfmt import MAX_TEXT, Fields, LineFormat, in_seconds
from tests.grammar import EXAMPLES, hostile
from tests.logfields import ATTACKS, fields

NAMES = ["user", "path", "status", "seconds", "outcome"]
LINE = LineFormat(NAMES)


def values(user: object = None, outcome: object = "done") -> Fields:
    """The fields of a line."""
    given_values = user, "/v2/", 200, 1.5, outcome
    return dict(zip(NAMES, given_values, strict=True))


class LineFormatTests(SynchronousTestCase):
    def test_line(self) -> None:
        """Numbers as they are, times with milliseconds, a dash for what is unknown."""
        self.assertEqual(
            LINE(values()), "user=- path=/v2/ status=200 seconds=1.500 outcome=done"
        )

    def test_users(self) -> None:
        """A user's name that is changed is marked by quotes."""
        for user, shown in (
            ("alice", "alice"),
            ("alice@example.com", "alice@example.com"),
            ("robot$ci", "robot$ci"),
            ("org+name", "org+name"),
            ("CORP\\alice", "CORP\\alice"),
            ("alice b", '"alice?b"'),
            ("älice", '"?lice"'),
            ("a\nb", '"a?b"'),
            ('a"b', '"a?b"'),
            ("é\\", '"??"'),
        ):
            line = LINE(values(user))
            self.assertEqual(dict(fields(line))["user"], shown)

    def test_spaces(self) -> None:
        """Only the last field has spaces."""
        line = LINE(values("a b", "c d"))
        self.assertTrue(line.startswith('user="a?b" '), line)
        self.assertTrue(line.endswith(' outcome="c d"'), line)

    def check(self, line: str) -> None:
        """A line has its fields, all of them, once, in order, in printable ASCII."""
        self.assertRegex(line, r"\A[ -~]+\Z")
        found = fields(line)
        self.assertEqual([name for name, _ in found], NAMES)
        self.assertEqual(dict(found)["status"], "200")

    def test_attacks(self) -> None:
        """No text in the first field or the last makes another field or line."""
        for text in ATTACKS:
            for line in LINE(values(text)), LINE(values("a", text)):
                self.check(line)
                self.assertLess(len(line), MAX_TEXT + 100)

    @EXAMPLES
    @given(st.lists(hostile, min_size=2, max_size=2))
    def test_anything(self, texts: list[str]) -> None:
        """Nor do texts in both."""
        self.check(LINE(values(*(text or None for text in texts))))

    def test_long(self) -> None:
        """A text is cut where it is too long."""
        for length in (MAX_TEXT - 1, MAX_TEXT, MAX_TEXT + 1, 2 * MAX_TEXT):
            told = dict(fields(LINE(values("a" * length))))
            self.assertEqual(told["user"], "a" * min(length, MAX_TEXT))

    def test_plain(self) -> None:
        """A line is plain when nothing in it is odd, or too long."""
        for line, is_plain in (
            ("a=1 b=2", True),
            ("a=1 b==", True),
            ("a=1 b=2 ", False),
            ("a=1 b=2 c", False),
            ('a=1 b="', False),
            ("a=1 b=é", False),
            ("a=1\nb=2", False),
            (f"a=1 b={'2' * (MAX_TEXT - len('b='))}", True),
            (f"a=1 b={'2' * (MAX_TEXT + 10)}", False),
        ):
            self.assertIs(LineFormat(["a", "b"]).is_plain(line), is_plain, line)


class SecondsTests(SynchronousTestCase):
    def test_milliseconds(self) -> None:
        """Three digits, however long it took."""
        for milliseconds, text in ((0, "0.000"), (2, "0.002"), (3600025, "3600.025")):
            self.assertEqual(in_seconds(milliseconds), text)
