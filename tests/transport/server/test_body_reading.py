"""Bodies of requests, taken piece by piece or whole."""

from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from regbroker.errors import BodyTooLarge
from regbroker.transport.server.body_reading import read_body, receive_body
from regbroker.transport.server.body_watch import BodyWatch
from regbroker.transport.server.pace import Pace
from regbroker.transport.server.replies import send_bytes
from regbroker.transport.server.request_bodies import ClientGone, StreamedBody
from tests.proxycase import SiteTestCase
from tests.transport.server.test_request_bodies import POST, Channel


class ReceiveBodyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.body = StreamedBody(Channel(), None)
        self.request: Any = SimpleNamespace(body=self.body)
        self.pieces: list[bytes] = []

    def take(self, data: bytes) -> None:
        """Keep a piece, unless it is the one that cannot be kept."""
        if data == b"no":
            raise OSError("no space left")
        self.pieces.append(data)

    def test_pieces(self) -> None:
        """Each piece is given as it comes; the end comes after the last one."""
        self.body.received(b"a")
        done = receive_body(self.request, self.take)
        self.body.received(b"b")
        self.assertEqual(self.pieces, [b"a", b"b"])
        self.assertNoResult(done)
        self.body.finished()
        self.successResultOf(done)

    def test_nothing(self) -> None:
        """A request without a body is received at once."""
        self.request.body = StreamedBody(Channel(), 0)
        self.successResultOf(receive_body(self.request, self.take))

    def test_cannot_be_taken(self) -> None:
        """After a piece that cannot be taken no other one is given."""
        done = receive_body(self.request, self.take)
        self.body.received(b"no")
        self.failureResultOf(done, OSError)
        self.body.received(b"b")
        self.body.finished()
        self.assertEqual(self.pieces, [])

    def test_no_longer_watched(self) -> None:
        """The rest of a body that cannot be taken is never too slow."""
        clock = Clock()
        given_up: list[Exception] = []
        self.body.watch = BodyWatch(clock, Pace(), given_up.append)
        self.body.start_watching()
        done = receive_body(self.request, self.take)
        self.assertNotEqual(clock.getDelayedCalls(), [])
        self.body.received(b"no")
        self.failureResultOf(done, OSError)
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertEqual(given_up, [])

    def test_breaks_off(self) -> None:
        """It fails as the body does."""
        done = receive_body(self.request, self.take)
        self.body.failed(Failure(ClientGone("gone")))
        self.failureResultOf(done, ClientGone)


class ReadBodyTests(SiteTestCase):
    spooled = False

    async def test_whole(self) -> None:
        """A body of known length, a chunked one, and none at all."""
        for headers, raw, body in (
            (b"Content-Length: 5\r\n\r\n", b"hello", b"hello"),
            (b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nhe\r\n0\r\n\r\n", b"he"),
            (b"\r\n", b"", b""),
            (b"Content-Length: 0\r\n\r\n", b"", b""),
        ):
            request = await self.received(POST, headers, raw)
            self.assertEqual(await read_body(request, 5), body)
            send_bytes(request, 200, b"text/plain", b"")
            self.assertEqual((await self.client.reply()).status, 200)

    async def test_too_large(self) -> None:
        """One byte too many is refused, announced or not; the client hears of it."""
        for headers, raw in (
            (b"Content-Length: 6\r\n\r\n", b"123456"),
            (b"Transfer-Encoding: chunked\r\n\r\n", b"6\r\n123456\r\n0\r\n\r\n"),
        ):
            self.client = await self.connect()
            request = await self.received(POST, headers, raw)
            error: Any = await self.assertFailure(read_body(request, 5), BodyTooLarge)
            self.assertIn("at most 5 bytes", error.message)
            send_bytes(request, 413, b"application/json", error.body())
            reply = await self.client.reply()
            self.assertEqual((reply.status, reply.code), (413, "SIZE_INVALID"))


class SpooledBodyTests(ReadBodyTests):
    """The same in a site of somebody else's."""

    def make_site(self) -> Site:
        return Site(self.resource, reactor=self.time)
