"""How the end of a reply is told from its breaking off."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regbroker.errors import (
    UpstreamMalformed,
)
from regbroker.transport.bodies.upload import gather_body
from regbroker.transport.client.arriving_body import ArrivingBody
from tests.connectionscase import ConnectionsTestCase, replied
from tests.scripted import response


class Connection:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def abort(self) -> None:
        self.done.append("abort")


class BodyTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A body that has come whole is taken, delivered, and has no connection."""
        for body in (b"", b"abc"):
            reply = replied(200, body=body)
            verifyObject(IPushProducer, reply)
            reply.pauseProducing()
            reply.resumeProducing()
            reply.abort()
            self.assertEqual(reply.take(), body)
            self.assertEqual(self.successResultOf(gather_body(reply, 3)), body)

    def test_arriving(self) -> None:
        """One that still comes pauses and resumes its connection, or ends it."""
        reply, connection = replied(200), Connection()
        reply.body = body = ArrivingBody(connection)
        self.assertIsNone(reply.take())
        reply.pauseProducing()
        reply.resumeProducing()
        reply.stopProducing()
        self.assertEqual(connection.done, ["pause", "resume", "abort"])
        gathering = gather_body(reply, 3)
        body.received(b"abc")
        self.assertNoResult(gathering)
        body.completed()
        self.assertEqual(self.successResultOf(gathering), b"abc")


class EndTests(ConnectionsTestCase):
    """How a reply may end, and whether that is the end of it."""

    async def body_of(self, answer: bytes, how: str) -> Any:
        """What is gathered of a reply that ends like this."""
        asking = self.ask()
        call = await self.upstream.call()
        call.send(answer)
        reply = await asking
        body = gather_body(reply, 1000)
        await self.turn()
        if how == "reset":
            call.wire.socket.setTcpNoDelay(True)
            call.wire.reset()
        else:
            call.wire.close()
        return await body

    async def test_complete(self) -> None:
        """No length, and a close in order: the end of the connection is the body's."""
        head = b"HTTP/1.1 200 OK\r\n\r\n"
        self.assertEqual(await self.body_of(head + b"abc", "close"), b"abc")

    async def test_broken_off(self) -> None:
        """Anything else breaks off."""
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for answer, how in (
            (response(200, "Content-Length: 10", body=b"abc"), "close"),
            (response(200, "Content-Length: 10", body=b"abc"), "reset"),
            (chunked + b"3\r\nabc\r\n", "close"),
            (chunked + b"5\r\nabc", "close"),
            (chunked + b"3\r\nabc\r\n0\r\n", "close"),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", "reset"),
        ):
            with self.assertRaises(UpstreamMalformed):
                await self.body_of(answer, how)
