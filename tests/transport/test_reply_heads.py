"""Heads of replies: fields as they are, and none that is more than one field."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.reply_heads import date, reason_phrase, reply_head


class ReplyHeadTests(SynchronousTestCase):
    def test_head(self) -> None:
        """Status line, fields in order, an empty line."""
        self.assertEqual(
            reply_head(b"HTTP/1.1", 200, [(b"A", b"1"), (b"a", b"2"), (b"B", b"")]),
            b"HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nB: \r\n\r\n",
        )
        self.assertEqual(reply_head(b"HTTP/1.0", 799, []), b"HTTP/1.0 799 \r\n\r\n")

    def test_line_ends(self) -> None:
        """No value and no name brings a line end into the head."""
        for end in (b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\r"):
            for field in ((b"A", b"1" + end + b"X: 2"), (b"A" + end + b"B", b"1")):
                head = reply_head(b"HTTP/1.1", 200, [field, (b"C", b"3")])
                lines = head.split(b"\r\n")
                self.assertEqual(len(lines), 5, field)
                self.assertTrue(lines[1].startswith(b"A"), field)
                self.assertEqual(lines[2:], [b"C: 3", b"", b""])
                self.assertNotIn(b"\n", b"".join(lines))
                self.assertNotIn(b"\r", b"".join(lines))

    def test_reason_phrases(self) -> None:
        """Standard statuses have their phrase, others none."""
        self.assertEqual(reason_phrase(421), b"Misdirected Request")
        self.assertEqual(reason_phrase(799), b"")

    def test_date(self) -> None:
        """The date is one of RFC 9110, 5.6.7."""
        self.assertRegex(date(), rb"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
