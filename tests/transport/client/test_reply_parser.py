"""Replies as bytes: what is one, where it ends, and what is none."""

from __future__ import annotations

from collections.abc import Iterable

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.client.reply import (
    MalformedReply,
    NoReply,
    Reply,
    ReplyTooLarge,
)
from regbroker.transport.client.reply_parser import (
    MAX_HEADER_BYTES,
    MAX_HEADER_LINE_BYTES,
    ReplyParser,
)
from tests.malformed_replies import CHUNKED, LINE, MALFORMED, WELL_FORMED

ONE = LINE + b"Content-Length: 3\r\n\r\nabc"


def split(data: bytes, size: int) -> Iterable[bytes]:
    """Pieces of so many bytes."""
    return (data[at : at + size] for at in range(0, len(data), size))


def replied(parser: ReplyParser) -> Reply:
    """The reply whose head a parser has."""
    assert parser.reply is not None
    return parser.reply


def parsed(data: bytes, size: int = 0, is_head: bool = False) -> ReplyParser:
    """A parser that was fed all of it."""
    parser = ReplyParser("the oracle", is_head)
    for piece in split(data, size or len(data)):
        parser.feed(piece)
    return parser


class MalformedTests(SynchronousTestCase):
    def test_each(self) -> None:
        """What is no reply is refused, in whatever pieces it comes."""
        for name, data in MALFORMED.items():
            for size in (0, 1):
                with self.assertRaises(MalformedReply, msg=name):
                    parsed(data, size)
                    self.fail(f"{name} was taken")

    def test_words(self) -> None:
        """The words say how far it was good; a name in them is a token."""
        with self.assertRaises(MalformedReply) as caught:
            parsed(LINE + b"A: b\r\nX-Odd: \x01\r\n\r\n")
        self.assertEqual(
            str(caught.exception), "Invalid header value char, after the header A"
        )

    def test_no_beginning(self) -> None:
        """What does not begin as a reply is told from a reply that is broken."""
        for data in (b"abc", b"HTTP/2", b"\r\nHTTP/1.1 200 OK"):
            with self.assertRaises(NoReply):
                parsed(data)
        with self.assertRaises(MalformedReply) as caught:
            parsed(b"HTTP/1.1 x")
        self.assertNotIsInstance(caught.exception, NoReply)


class BodyTests(SynchronousTestCase):
    def body_of(self, data: bytes, size: int) -> bytes:
        """The body of a reply that comes in pieces of so many bytes."""
        parser = ReplyParser("the oracle", False)
        body = b"".join(parser.feed(piece) for piece in split(data, size))
        self.assertTrue(parser.is_complete)
        self.assertFalse(parser.spills)
        self.assertEqual(replied(parser).status, 200)
        return body

    def test_each(self) -> None:
        """Odd replies have their body, in whatever pieces they come."""
        for name, (data, body) in WELL_FORMED.items():
            for size in (1, 7, len(data)):
                self.assertEqual(self.body_of(data, size), body, name)

    def test_length(self) -> None:
        """A body of known length is passed on as the pieces in which it comes."""
        parser = ReplyParser("the oracle", False)
        self.assertEqual(parser.feed(ONE[:-2]), b"a")
        self.assertEqual((replied(parser).length, parser.is_complete), (3, False))
        piece = b"b"
        self.assertIs(parser.feed(piece), piece)
        self.assertEqual(parser.feed(b"c"), b"c")
        self.assertTrue(parser.is_complete)

    def test_until_the_end(self) -> None:
        """Without length and chunks it ends with its connection."""
        parser = parsed(LINE + b"\r\nabc")
        self.assertTrue(parser.ends_with_connection)
        self.assertIsNone(replied(parser).length)
        self.assertEqual(parser.feed(b"d"), b"d")
        self.assertFalse(parser.is_complete)
        self.assertFalse(parsed(CHUNKED).ends_with_connection)

    def test_none(self) -> None:
        """HEAD, 204 and 304 have none, whatever their headers say."""
        for line, is_head in ((LINE, True), (b"HTTP/1.1 204 No\r\n", False),
                              (b"HTTP/1.1 304 No\r\n", False)):  # fmt: skip
            for framing in (b"Content-Length: 3", b"Transfer-Encoding: chunked", b"A:"):
                parser = parsed(line + framing + b"\r\n\r\n", is_head=is_head)
                self.assertTrue(parser.is_complete and parser.is_bodiless)
                self.assertEqual(replied(parser).length, 0)
                self.assertFalse(parser.spills)

    def test_spills(self) -> None:
        """Bytes after the reply are noticed, and are no part of its body."""
        nothing = ONE.replace(b"3\r\n\r\nabc", b"0\r\n\r\n")
        for data in (ONE, CHUNKED + b"1\r\na\r\n0\r\n\r\n", nothing):
            for rest in (b"x", ONE, b"\x00"):
                for size in (1, len(data + rest)):
                    self.assertTrue(parsed(data + rest, size).spills, data + rest)
        head = LINE + b"Content-Length: 3\r\n\r\n"
        for rest in (b"abc", ONE, b"\x00"):
            for size in (1, len(head + rest)):
                self.assertTrue(parsed(head + rest, size, is_head=True).spills, rest)


class HeadTests(SynchronousTestCase):
    def test_headers(self) -> None:
        """They stay as they came, in order, without the space around values."""
        parser = parsed(LINE + b"a: 1\r\nA:  2 \t \r\nB:\r\nC: \xe9\tx\r\n\r\n")
        headers = [(b"a", b"1"), (b"A", b"2"), (b"B", b""), (b"C", b"\xe9\tx")]
        reply = replied(parser)
        self.assertEqual((reply.what, reply.status), ("the oracle", 200))
        self.assertEqual(reply.headers, headers)

    def test_interim(self) -> None:
        """Headers of interim replies are none of the reply's; 100 is told."""
        parser = parsed(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n")
        self.assertFalse(parser.continues)
        parser.feed(b"HTTP/1.1 100 Continue\r\nB: c\r\n\r\n")
        self.assertTrue(parser.continues)
        self.assertIsNone(parser.reply)
        parser.feed(ONE)
        self.assertEqual(replied(parser).headers, [(b"Content-Length", b"3")])

    def test_trailers(self) -> None:
        """Trailers are no headers."""
        parser = parsed(CHUNKED + b"0\r\nA: b\r\n\r\n")
        self.assertEqual(replied(parser).headers, [(b"Transfer-Encoding", b"chunked")])

    def test_persistent(self) -> None:
        """Only HTTP/1.1 keeps a connection, and only when nobody says close."""
        for data, is_kept in (
            (ONE, True),
            (ONE.replace(b"1.1", b"1.0"), False),
            (LINE + b"Connection: x, Close\r\nContent-Length: 0\r\n\r\n", False),
            (LINE + b"Connection: X\r\nContent-Length: 0\r\n\r\n", True),
        ):
            self.assertEqual(parsed(data).is_persistent, is_kept, data)

    def test_options(self) -> None:
        """What ``Connection`` names, in lower case, out of all its lines."""
        data = LINE + b"Connection: X-A, close\r\nConnection: B\r\n\r\n"
        self.assertEqual(
            replied(parsed(data)).connection_options, {b"x-a", b"close", b"b"}
        )

    def test_untouched(self) -> None:
        """Until the first byte."""
        parser = ReplyParser("the oracle", False)
        self.assertTrue(parser.is_untouched)
        parser.feed(b"H")
        self.assertFalse(parser.is_untouched)


class BoundTests(SynchronousTestCase):
    def test_line(self) -> None:
        """A header that is too long is named, wherever the head ends."""
        value = b"s" * MAX_HEADER_LINE_BYTES
        data = LINE + b"X-A: " + value + b"\r\nContent-Length: 1\r\n\r\na"
        for size in (10_000, 200_000):
            with self.assertRaises(ReplyTooLarge) as caught:
                parsed(data, size)
            self.assertEqual(
                str(caught.exception), "the header X-A with more than 65536 bytes"
            )

    def test_all(self) -> None:
        """Headers without end are not read, nor interim replies, nor trailers."""
        lines = (b"A: " + b"b" * 1000 + b"\r\n") * (MAX_HEADER_BYTES // 900)
        interim = b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n" * (MAX_HEADER_BYTES // 20)
        for data in (LINE + lines, interim, CHUNKED + b"1\r\na\r\n0\r\n" + lines):
            with self.assertRaises(ReplyTooLarge) as caught:
                parsed(data, 1000)
            said = f"headers of more than {MAX_HEADER_BYTES} bytes"
            self.assertEqual(str(caught.exception), said)

    def test_body(self) -> None:
        """A body may be as long as it likes, in chunks too."""
        chunk = b"3e8\r\n" + bytes(1000) + b"\r\n"
        parser = parsed(CHUNKED + chunk * 1000, 1500)
        self.assertFalse(parser.is_complete)


#: What replies are made of, for two parsers to read.
LINES = (
    b"HTTP/1.1 200 OK",
    b"HTTP/1.0 404",
    b"HTTP/1.1 204 No",
    b"HTTP/1.1 304 N",
    b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 206 P",
    b"HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 200 OK",
)
FIELDS = (
    b"Content-Length: 3",
    b"content-length:03 ",
    b"Content-Length: 0",
    b"Content-Length: 3, 3",
    b"Content-Length : 3",
    b"Content_Length: 9",
    b"Transfer-Encoding: chunked",
    b"transfer-encoding:\tChunked",
    b"Transfer-Encoding: gzip",
    b"Connection: close, x",
    b"Upgrade: h2c",
    b"X: \xe9",
    b"X:",
    b" folded",
)
BODIES = (
    b"",
    b"abc",
    b"abcd",
    b"0\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"03;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
)

Outcome = tuple[int, bytes, bool]


def by_h11(data: bytes, is_head: bool) -> Outcome:
    """Status and body of a reply, and whether it is complete, as h11 reads it."""
    connection = h11.Connection(h11.CLIENT)
    method = "HEAD" if is_head else "GET"
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    status, body = 0, b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        elif not isinstance(event, h11.InformationalResponse):
            return status, body, isinstance(event, h11.EndOfMessage)


class TwoParsersTests(SynchronousTestCase):
    @given(
        st.sampled_from(LINES),
        st.lists(st.sampled_from(FIELDS), max_size=4),
        st.sampled_from(BODIES),
        st.booleans(),
        st.integers(1, 200),
    )
    def test_agree(
        self, line: bytes, fields: list[bytes], body: bytes, is_head: bool, size: int
    ) -> None:
        """What is taken here means the same to h11, in whatever pieces it comes."""
        data = b"\r\n".join((line, *fields, b"", body))
        outcomes: list[Outcome] = []
        for length in (size, len(data)):
            parser = ReplyParser("the oracle", is_head)
            try:
                got = b"".join(parser.feed(piece) for piece in split(data, length))
            except MalformedReply:
                continue
            status = parser.reply.status if parser.reply else 0
            outcomes.append((status, got, parser.is_complete))
        self.assertNotEqual(len(outcomes), 1)
        for outcome in outcomes:
            self.assertEqual(outcome, by_h11(data, is_head))
