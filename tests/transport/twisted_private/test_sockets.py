"""What is private in ports and transports of Twisted, each with what it does."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory, Protocol

from regbroker.transport.twisted_private.sockets import end_in_order
from tests.proxycase import SocketTestCase


class EndTests(SocketTestCase):
    """The end of a TCP connection."""

    async def ended(self, data: bytes) -> bytes:
        """What a client gets that reads after the end."""
        served: list[Any] = []

        class Served(Protocol):
            def connectionMade(self) -> None:
                served.append(self)

        listening: Any = self.reactor.listenTCP(
            0, Factory.forProtocol(Served), interface="127.0.0.1"
        )
        self.addCleanup(listening.stopListening)
        client = await self.connect_to(listening.getHost().port)
        while not served:
            await self.turn()
        client.pause()
        transport = served[0].transport
        transport.write(data)
        transport.doWrite()
        end_in_order(transport)
        transport.abortConnection()
        transport.write(b"more")
        while transport.connected:
            await self.turn()
        client.resume()
        sent = await client.end()
        self.assertTrue(client.closed_in_order)
        return sent

    async def test_whole(self) -> None:
        """What the socket has taken arrives, and the end in order; nothing else."""
        self.assertEqual(await self.ended(b"some bytes"), b"some bytes")

    async def test_too_much(self) -> None:
        """What it has not taken is dropped."""
        data = bytes(100_000_000)
        self.assertLess(len(await self.ended(data)), len(data))
