"""Requests as they are written: the head, and the framing of a body."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import UNKNOWN_LENGTH

from regbroker.transport.client.bytes_body import BytesBody
from regbroker.transport.client.request_writer import (
    BodyWriter,
    WrongLength,
    request_head,
)
from tests.connectionscase import BodyByHand

HEADERS = [(b"A", b"1"), (b"a", b"2")]


class HeadTests(SynchronousTestCase):
    def head(self, method: bytes = b"GET", body: Any = None) -> list[bytes]:
        """The lines of a head."""
        return request_head(method, b"/a%2f;?b|", b"up", HEADERS, body).split(b"\r\n")

    def test_lines(self) -> None:
        """Target and headers are written as they are given, Host before them."""
        lines = [b"GET /a%2f;?b| HTTP/1.1", b"Host: up", b"A: 1", b"a: 2", b"", b""]
        self.assertEqual(self.head(), lines)

    def test_framing(self) -> None:
        """A body has its length, or chunks; POST and PUT say that they have none."""
        for method, body, framing in (
            (b"POST", BytesBody(b"abc"), b"Content-Length: 3"),
            (b"PATCH", BodyByHand(0), b"Content-Length: 0"),
            (b"PUT", BodyByHand(UNKNOWN_LENGTH), b"Transfer-Encoding: chunked"),
            (b"POST", None, b"Content-Length: 0"),
            (b"PUT", None, b"Content-Length: 0"),
        ):
            self.assertEqual(self.head(method, body)[4:], [framing, b"", b""])
        self.assertEqual(self.head(b"DELETE")[4:], [b"", b""])

    def test_refused(self) -> None:
        """What would be two heads, or another target, is never written."""
        good = (b"GET", b"/", b"up", b"A", b"1")
        for index in range(len(good)):
            for bad in (b"\r\nX: y", b"\n", b"\x00", b"a\rb"):
                method, target, host, name, value = (
                    bad if at == index else each for at, each in enumerate(good)
                )
                with self.assertRaises(ValueError):
                    request_head(method, target, host, [(name, value)], None)
        for target in (b"/a b", b""):
            with self.assertRaises(ValueError):
                request_head(b"GET", target, b"up", [], None)


class BodyTests(SynchronousTestCase):
    def test_chunks(self) -> None:
        """Each piece is a chunk; an empty one would be the end, and is none."""
        transport = StringTransport()
        writer = BodyWriter(transport, UNKNOWN_LENGTH)
        for piece in (b"ab", b"", bytes(17)):
            writer.write(piece)
        writer.end()
        written = b"2\r\nab\r\n11\r\n" + bytes(17) + b"\r\n0\r\n\r\n"
        self.assertEqual(transport.value(), written)

    def test_length(self) -> None:
        """With a length the pieces stand as they are."""
        transport = StringTransport()
        writer = BodyWriter(transport, 3)
        writer.write(b"ab")
        writer.write(b"c")
        writer.end()
        self.assertEqual(transport.value(), b"abc")

    def test_wrong_length(self) -> None:
        """More than said is not written, and less is no end."""
        transport = StringTransport()
        writer = BodyWriter(transport, 3)
        writer.write(b"ab")
        with self.assertRaises(WrongLength):
            writer.end()
        with self.assertRaises(WrongLength):
            writer.write(b"cd")
        self.assertEqual(transport.value(), b"ab")
