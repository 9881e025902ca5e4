"""What is private in requests and channels of Twisted, each with what it does."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPFactory, Request
from zope.interface import Interface

from regbroker.transport.twisted_private.http import (
    ChannelInternals,
    ChunkedDecoder,
    MalformedChunks,
    RequestInternals,
    is_disconnected,
)


class KeptRequest(Request):
    """A request that the test answers."""

    def process(self) -> None:
        """Leave it to the test."""


class ChannelTests(SynchronousTestCase):
    protocol: type[ChannelInternals] = ChannelInternals

    def setUp(self) -> None:
        self.clock = Clock()
        self.channel = self.made(self.protocol)

    def made(self, protocol: Any) -> Any:
        """A channel on a transport that is a string."""
        factory = HTTPFactory(timeout=60, reactor=self.clock)
        factory.protocol = protocol  # type: ignore[method-assign]
        channel: Any = factory.buildProtocol(None)
        channel.requestFactory = KeptRequest
        self.transport = StringTransport()
        channel.makeConnection(self.transport)
        return channel

    def send(self, data: bytes) -> None:
        """Have the client send something."""
        self.channel.dataReceived(data)

    def test_is_disconnected(self) -> None:
        """A request knows that its client has gone."""
        self.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        (request,) = self.channel.requests
        self.assertFalse(is_disconnected(request))
        request.notifyFinish().addErrback(lambda _: None)
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(is_disconnected(request))

    def test_request_line(self) -> None:
        """It is known from its end to the end of the request."""
        self.assertIsNone(self.channel.request_line)
        self.send(b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        self.assertEqual(self.channel.request_line, (b"PUT", b"/a", b"HTTP/1.1"))
        self.assertTrue(self.channel.has_request_line)
        self.send(b"1")
        self.assertIsNone(self.channel.request_line)
        self.assertFalse(self.channel.has_request_line)

    def test_reading(self) -> None:
        """After a request the client is read from again, if it was not."""
        resumed: list[str] = []
        resume = self.transport.resumeProducing

        def noted() -> None:
            resumed.append(self.transport.producerState)
            resume()

        self.transport.resumeProducing = noted  # type: ignore[method-assign]
        for is_paused in (False, True, False):
            self.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            if is_paused:
                self.channel.reading.pauseProducing()
            self.channel.requests[0].finish()
            self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(resumed, ["paused"])
        # What is sent meanwhile waits, and when it is much, the client does.
        self.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.send(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 20000 + b"\r\n\r\n")
        self.assertEqual(self.transport.producerState, "paused")
        self.channel.requests[0].finish()
        self.assertEqual(resumed, ["paused", "paused"])

    def test_too_large(self) -> None:
        """Too many bytes or headers are no other mistake."""
        refused: list[bool] = []

        class Refusing(ChannelInternals):
            totalHeadersSize = 200
            maxHeaders = 3

            def refuse_malformed(self) -> None:
                refused.append(self.are_headers_too_large)

        for headers, too_large in (
            (b"A: " + b"b" * 200 + b"\r\n", True),
            (b"A: b\r\n" * 4 + b"\r\n", True),
            (b"no header\r\n\r\n", False),
        ):
            refused.clear()
            self.channel = self.made(Refusing)
            self.send(b"GET / HTTP/1.1\r\n" + headers)
            self.assertEqual(refused[:1], [too_large], headers[:20])

    def test_is_handling_request(self) -> None:
        """From the end of a request to the end of its reply."""
        self.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        self.assertFalse(self.channel.is_handling_request)
        self.send(b"1")
        self.assertTrue(self.channel.is_handling_request)
        self.channel.requests[0].finish()
        self.assertFalse(self.channel.is_handling_request)

    def test_is_between_requests(self) -> None:
        """Before a request, and not within one, nor after the last one."""
        self.assertTrue(self.channel.is_between_requests)
        for data in (b"GET / HT", b"TP/1.1\r\n", b"Host: a\r\n", b"\r\n"):
            self.send(data)
            self.assertFalse(self.channel.is_between_requests, data)
        self.channel.requests[0].finish()
        self.assertTrue(self.channel.is_between_requests)
        # An empty line is taken before a request, but only one.
        self.send(b"\r\n")
        self.assertFalse(self.channel.is_between_requests)
        self.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.channel.requests[0].finish()
        self.assertFalse(self.channel.is_between_requests)

    def test_begin_whole(self) -> None:
        """A request that was read elsewhere is answered like any other."""
        request = KeptRequest(self.channel)
        request.clientproto = b"HTTP/1.1"
        self.channel.begin_whole(request)
        self.assertTrue(self.channel.is_handling_request)
        self.assertIsNone(self.channel.timeOut)
        self.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(self.channel.requests, [request])
        request.finish()
        self.assertEqual([each.uri for each in self.channel.requests], [b"/next"])
        self.channel.requests[0].finish()
        self.assertTrue(self.channel.is_between_requests)
        self.assertEqual(self.channel.timeOut, 60)

    def test_waits_for_client(self) -> None:
        """While the transport takes no more."""
        self.assertFalse(self.channel.waits_for_client)
        self.channel.pauseProducing()
        self.assertTrue(self.channel.waits_for_client)
        self.channel.resumeProducing()
        self.assertFalse(self.channel.waits_for_client)

    def test_end_request(self) -> None:
        """What waits begins, or the client is waited for, or the connection ends."""
        for state in ("idle", "pipelined", "unread", "last"):
            self.channel = self.made(ChannelInternals)
            self.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            if state == "pipelined":
                self.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
            elif state == "unread":
                self.channel.pauseProducing()
            elif state == "last":
                self.channel.persistent = 0
            self.channel.reading.pauseProducing()
            self.channel.end_request(self.channel.requests[0], 7.0)
            left = [each.uri for each in self.channel.requests]
            self.assertEqual(left, [b"/next"] if state == "pipelined" else [])
            is_free = state in ("idle", "unread")
            self.assertEqual(self.channel.is_between_requests, is_free, state)
            self.assertEqual(self.channel.timeOut, 7.0 if is_free else None, state)
            is_read = self.transport.producerState == "producing"
            self.assertEqual(is_read, state in ("idle", "pipelined", "last"), state)
            self.assertEqual(self.transport.disconnecting, state == "last")

    def test_timeout(self) -> None:
        """It begins when the reply is out, and does not count before."""
        request = KeptRequest(self.channel)
        self.channel.begin_whole(request)
        self.clock.advance(61)
        self.assertFalse(self.transport.disconnecting)
        self.channel.end_request(request, 7.0)
        self.assertEqual(self.channel.timeOut, 7.0)
        self.clock.advance(6.9)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(0.2)
        self.assertTrue(self.transport.disconnecting)

    def test_transport(self) -> None:
        """The channel is a producer of its transport, and can pause it."""
        self.channel.pause_transport()
        self.assertEqual(self.transport.producerState, "paused")
        self.assertIs(self.transport.producer, self.channel)
        self.channel.unregister_from_transport()
        self.assertIsNone(self.transport.producer)

    def test_refuse_malformed(self) -> None:
        """What is no HTTP comes to one method, whose default is Twisted's answer."""
        self.send(b"GET\r\n\r\n")
        self.assertTrue(self.transport.value().startswith(b"HTTP/1.1 400 "))
        self.assertTrue(self.transport.disconnecting)

    def test_framing(self) -> None:
        """Each header about the body's end is put to a method, the others are not."""
        asked: list[tuple[bytes, bytes]] = []

        class Asking(ChannelInternals):
            def is_framing_accepted(self, name: bytes, value: bytes) -> bool:
                asked.append((name, value))
                return value != b"7"

        self.channel = self.made(Asking)
        self.send(b"PUT / HTTP/1.1\r\nHost: a\r\ncontent-length: 1\r\n\r\n1")
        self.assertEqual(asked, [(b"Content-Length", b"1")])
        self.assertEqual(self.transport.value(), b"")
        self.channel = self.made(Asking)
        self.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n")
        self.assertTrue(self.transport.value().startswith(b"HTTP/1.1 400 "))
        self.channel = self.made(Asking)
        self.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.assertEqual(asked[-1], (b"Transfer-Encoding", b"chunked"))

    def test_chunked_decoder(self) -> None:
        """The decoder that a method returns is the one that is used."""
        lines: list[bytes] = []

        class Noting(ChunkedDecoder):
            def trailer_received(self, line: bytes) -> None:
                lines.append(line)

        class Chunked(ChannelInternals):
            def chunked_decoder(self, on_data: Any, on_end: Any) -> ChunkedDecoder:
                return Noting(on_data, on_end)

        self.channel = self.made(Chunked)
        self.send(
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nA: b\r\n\r\n"
        )
        self.assertEqual(self.channel.requests[0].content.read(), b"abc")
        self.assertEqual(lines, [b"A: b"])


class IUnknown(Interface):
    """What nothing is by itself."""


class RequestTests(SynchronousTestCase):
    def test_components(self) -> None:
        """Sessions and whatever else is kept for a request are kept."""

        class WithoutInit(RequestInternals):
            def __init__(self) -> None:
                pass

        request, kept = WithoutInit(), object()
        request.setComponent(IUnknown, kept)
        self.assertIs(request.getComponent(IUnknown), kept)
        self.assertIsNone(WithoutInit().getComponent(IUnknown))


class ChunkedDecoderTests(SynchronousTestCase):
    def test_malformed(self) -> None:
        """What is no chunk raises `MalformedChunks`."""
        decoder = ChunkedDecoder(lambda _: None, lambda _: None)
        with self.assertRaises(MalformedChunks):
            decoder.dataReceived(b"x\r\n")

    def test_data_that_goes_past(self) -> None:
        """The decoder goes on behind data that it was not given."""
        decoder = ChunkedDecoder(
            lambda _: self.fail("it was given data"), lambda _: None
        )
        decoder.dataReceived(b"5")
        self.assertFalse(decoder.is_in_chunk)
        decoder.dataReceived(b"\r\n")
        self.assertTrue(decoder.is_in_chunk)
        self.assertEqual(decoder.length, 5)
        decoder.set_left(2)
        self.assertTrue(decoder.is_in_chunk)
        self.assertFalse(decoder.is_after_chunk)
        self.assertEqual(decoder.length, 2)
        decoder.set_left(0)
        self.assertFalse(decoder.is_in_chunk)
        self.assertTrue(decoder.is_after_chunk)
        decoder.dataReceived(b"\r")
        self.assertFalse(decoder.is_after_chunk)
        decoder.dataReceived(b"\n")
        self.assertFalse(decoder.is_after_chunk)
        decoder.dataReceived(b"10\r\n")
        self.assertTrue(decoder.is_in_chunk)
        self.assertEqual(decoder.length, 16)

    def test_trailers(self) -> None:
        """Each trailer is given away once, and none is kept."""
        lines: list[bytes] = []
        rest: list[bytes] = []

        class Noting(ChunkedDecoder):
            def trailer_received(self, line: bytes) -> None:
                lines.append(line)

        decoder = Noting(lambda _: None, rest.append)
        for data in (b"0\r\nA: b\r\nC:", b" d\r\n", b"\r\nrest"):
            decoder.dataReceived(data)
        self.assertEqual(sorted(lines), [b"A: b", b"C: d"])
        self.assertEqual(rest, [b"rest"])
