"""Bodies of requests: streamed, spooled by somebody else, or abandoned."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import UNKNOWN_LENGTH
from twisted.web.server import Site

from regbroker.transport.server import request_bodies
from regbroker.transport.server.replies import send_bytes
from regbroker.transport.server.request_bodies import (
    NO_BODY,
    READ_AHEAD_BYTES,
    ClientGone,
    StreamedBody,
    request_body,
)
from tests.proxycase import SiteTestCase

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


class Channel:
    """Notes what a body asks of its connection."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pause_reading(self) -> None:
        self.asked.append("pause")

    def resume_reading(self) -> None:
        self.asked.append("resume")

    def send_continue(self) -> None:
        self.asked.append("continue")


class Consumer:
    """Takes what a body writes."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


class Counted(bytes):
    """Bytes that count how often somebody asks how many they are."""

    asked = 0

    def __len__(self) -> int:
        self.asked += 1
        return super().__len__()


class StreamedBodyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.channel = Channel()
        self.consumer: Any = Consumer()

    def body(self, length: int | None = None) -> StreamedBody:
        """A body of this length, or chunked."""
        return StreamedBody(self.channel, length)

    def test_counted_once(self) -> None:
        """However small the pieces are, reading ahead looks at each one once."""
        count = READ_AHEAD_BYTES // 16
        pieces = [Counted(16) for _ in range(count)]
        body = self.body()
        for piece in pieces[:-1]:
            body.received(piece)
        self.assertEqual(self.channel.asked, [])
        body.received(pieces[-1])
        self.assertEqual(self.channel.asked, ["pause"])
        self.assertLessEqual(max(piece.asked for piece in pieces), 3)
        body.startProducing(self.consumer)
        self.assertEqual(self.channel.asked, ["pause", "resume"])
        self.assertEqual(self.consumer.data, bytes(READ_AHEAD_BYTES))

    def test_bytes_ahead(self) -> None:
        """Bytes that come one by one are counted as they are."""
        body = self.body()
        self.patch(request_bodies, "READ_AHEAD_BYTES", 1000)
        for _ in range(999):
            body.received(b"x")
        self.assertEqual(self.channel.asked, [])
        body.received(b"x")
        self.assertEqual(self.channel.asked, ["pause"])

    def test_passed_on(self) -> None:
        """What came before the reader and what comes after is the same body."""
        body = self.body()
        body.received(b"a")
        body.received(b"b")
        done = body.startProducing(self.consumer)
        self.assertEqual(self.consumer.data, b"ab")
        body.received(b"c")
        self.assertEqual(self.consumer.data, b"abc")
        self.assertNoResult(done)
        body.finished()
        self.successResultOf(done)

    def test_untouched(self) -> None:
        """It can be sent until somebody has begun to, or does not want it."""
        for use in (
            lambda body: body.startProducing(self.consumer),
            lambda body: body.discard(),
        ):
            body = self.body()
            body.received(b"a")
            body.pauseProducing()
            self.assertTrue(body.is_untouched)
            use(body)
            self.assertFalse(body.is_untouched)

    def test_complete_before_read(self) -> None:
        """A small body may be here before anybody asks for it."""
        body = self.body(2)
        body.received(b"ab")
        body.finished()
        self.successResultOf(body.startProducing(self.consumer))
        self.assertEqual(self.consumer.data, b"ab")
        self.assertEqual(body.bytes_missing, 0)

    def test_nothing(self) -> None:
        """What all requests without a body share stays as it is."""
        for _ in range(2):
            self.successResultOf(NO_BODY.startProducing(self.consumer))
            NO_BODY.pauseProducing()
            NO_BODY.failed(Failure(ClientGone()))
            NO_BODY.discard()
            self.assertTrue(NO_BODY.complete)
            self.assertFalse(NO_BODY.expects_continue)
            self.assertEqual((NO_BODY.length, NO_BODY.bytes_missing), (0, 0))
        self.assertEqual(self.consumer.data, b"")

    def test_read_ahead_is_bounded(self) -> None:
        """Nobody reads: the connection is paused, and goes on when somebody does."""
        body = self.body()
        body.received(bytes(READ_AHEAD_BYTES - 1))
        self.assertEqual(self.channel.asked, [])
        body.received(b"x")
        self.assertEqual(self.channel.asked, ["pause"])
        body.startProducing(self.consumer)
        self.assertEqual(self.channel.asked, ["pause", "resume"])

    def test_backpressure(self) -> None:
        """The reader's pauses are the connection's, until the body is complete."""
        body = self.body()
        body.startProducing(self.consumer)
        body.pauseProducing()
        body.received(b"already decrypted")
        self.assertEqual(self.channel.asked, ["pause", "pause"])
        body.resumeProducing()
        body.resumeProducing()
        self.assertEqual(self.channel.asked, ["pause", "pause", "resume"])
        body.finished()
        body.pauseProducing()
        self.assertEqual(self.channel.asked, ["pause", "pause", "resume"])

    def test_continue_once(self) -> None:
        """A client that waits is called once, when somebody reads."""
        body = self.body(3)
        body.expects_continue = True
        body.startProducing(self.consumer)
        body.send_continue()
        self.assertEqual(self.channel.asked, ["continue"])

    def test_discarded(self) -> None:
        """What nobody wants is read on, and not kept."""
        body = self.body()
        body.received(bytes(READ_AHEAD_BYTES))
        body.discard()
        self.assertEqual(self.channel.asked, ["pause", "resume"])
        body.received(bytes(READ_AHEAD_BYTES))
        self.assertEqual(self.channel.asked, ["pause", "resume"])
        self.assertEqual(body.bytes_received, 2 * READ_AHEAD_BYTES)

    def test_stopped(self) -> None:
        """A reader that loses interest is not told of the end."""
        body = self.body()
        done = body.startProducing(self.consumer)
        body.stopProducing()
        body.received(b"x")
        body.finished()
        self.assertEqual(self.consumer.data, b"")
        self.assertNoResult(done)

    def test_failed(self) -> None:
        """A body that breaks off fails its reader, also one that comes later."""
        body = self.body()
        done = body.startProducing(self.consumer)
        body.failed(Failure(ClientGone("gone")))
        body.failed(Failure(ClientGone("gone again")))
        self.failureResultOf(done, ClientGone)
        self.failureResultOf(body.startProducing(self.consumer), ClientGone)

    def test_failed_when_complete(self) -> None:
        """A client that leaves after its body has not broken it off."""
        body = self.body(1)
        body.received(b"x")
        body.finished()
        body.failed(Failure(ClientGone("gone")))
        self.successResultOf(body.startProducing(self.consumer))

    def test_missing(self) -> None:
        """How much is missing is known if the length is."""
        body = self.body(5)
        body.received(b"ab")
        self.assertEqual(body.bytes_missing, 3)
        self.assertIn("2 bytes so far", repr(body))
        self.assertIsNone(self.body().bytes_missing)
        self.assertEqual(self.body(0).bytes_missing, 0)


class RequestBodyTests(SiteTestCase):
    spooled = False

    async def test_producer(self) -> None:
        """The body's length is known to who relays it; no body is None."""
        request = await self.received(POST, b"Content-Length: 2\r\n\r\nab")
        body = request_body(request)
        assert body is not None
        self.assertEqual(body.length, 2)
        consumer: Any = Consumer()
        producing: Deferred[None] = body.startProducing(consumer)
        await producing
        self.assertEqual(consumer.data, b"ab")
        send_bytes(request, 200, b"text/plain", b"")
        request = await self.received(POST, b"\r\n")
        self.assertIsNone(request_body(request))


class SpooledBodyTests(RequestBodyTests):
    """The same in a site of somebody else's."""

    def make_site(self) -> Site:
        return Site(self.resource, reactor=self.time)


class ChunkedBodyTests(SiteTestCase):
    async def test_length_unknown(self) -> None:
        """A chunked body has no length before its end."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        body = request_body(request)
        assert body is not None
        self.assertIs(body.length, UNKNOWN_LENGTH)

    async def test_empty(self) -> None:
        """Chunks without a byte are no body once they have ended."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        body: Any = request_body(request)
        consumer: Any = Consumer()
        producing: Deferred[None] = body.startProducing(consumer)
        self.client.send(b"0\r\n\r\n")
        await producing
        self.assertEqual(consumer.data, b"")
        self.assertIsNone(request_body(request))
