"""How the end of a reply is told from its breaking off."""

from __future__ import annotations

from typing import Any

from regbroker.errors import (
    UpstreamMalformed,
)
from regbroker.transport.bodies.upload import gather_body
from tests.connectionscase import ConnectionsTestCase
from tests.scripted import response


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
