"""Heads of replies: fields as they are, and none that is more than one field."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.header_table import HOP_BY_HOP, Direction, way
from regbroker.transport.server.reply_heads import (
    OURS,
    date,
    reason_phrase,
    reply_head,
)

#: Ways on which headers of others get into the head of a reply.
TO_CLIENTS = (
    Direction.REPLY,
    Direction.FOLLOWED,
    Direction.FROM_STORAGE,
    Direction.BUSY,
    Direction.NO_RANGE,
    Direction.LIMITS,
)


def undated(head: bytes) -> bytes:
    """A head without its second line, the date."""
    status, date, rest = head.split(b"\r\n", 2)
    assert date.startswith(b"Date: "), date
    return status + b"\r\n" + rest


class ReplyHeadTests(SynchronousTestCase):
    def test_head(self) -> None:
        """Status line, date, what every reply has, fields in order, an empty line."""
        every = (
            b"Server: regbroker\r\nDocker-Distribution-Api-Version: registry/2.0\r\n"
        )
        self.assertEqual(
            undated(reply_head(b"HTTP/1.1", 200, [b"A: 1", b"a: 2", b"B: "])),
            b"HTTP/1.1 200 OK\r\n" + every + b"A: 1\r\na: 2\r\nB: \r\n\r\n",
        )
        self.assertEqual(
            undated(reply_head(b"HTTP/1.0", 799, [])),
            b"HTTP/1.0 799 \r\n" + every + b"\r\n",
        )

    def test_nobody_else_says_it(self) -> None:
        """What the writer says itself, or of the connection, crosses on no way."""
        for direction in TO_CLIENTS:
            for name in (*OURS, *(row.name.encode() for row in HOP_BY_HOP)):
                self.assertFalse(way(direction)[name], (name, direction))

    def test_line_ends(self) -> None:
        """No value and no name brings a line end into the head."""
        for end in (b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\r"):
            for field in (b"A: 1" + end + b"X: 2", b"A" + end + b"B: 1"):
                head = undated(reply_head(b"HTTP/1.1", 200, [field, b"C: 3"]))
                lines = head.split(b"\r\n")
                del lines[1:3]
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
