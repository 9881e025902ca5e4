"""The server's side of one connection, and requests that a test answers."""

from __future__ import annotations

from twisted.internet.tcp import Server
from twisted.web.server import Request

from regbroker.transport.server.replies import send_bytes
from tests.proxycase import SiteTestCase
from tests.wire import Message

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


def answer(request: Request, body: bytes = b"so be it") -> None:
    """Finish a request."""
    send_bytes(request, 200, b"text/plain", body)


class ChannelTestCase(SiteTestCase):
    """What a client meets, and what is still open."""

    async def assert_refused(self, status: int, code: str) -> Message:
        """The next thing on the wire is this refusal, and then the end."""
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (status, code))
        self.assertEqual(reply.header(b"Connection"), b"close")
        self.assertEqual(
            reply.header(b"Docker-Distribution-Api-Version"), b"registry/2.0"
        )
        return reply

    async def assert_still_good(self) -> None:
        """The connection takes another request."""
        request = await self.received(GET, b"X-Next: yes\r\n\r\n")
        self.assertEqual(request.getHeader("X-Next"), "yes")
        answer(request, b"next")
        self.assertEqual((await self.client.reply()).body, b"next")

    @property
    def served(self) -> int:
        """How many connections the site has open."""
        return sum(isinstance(r, Server) for r in self.reactor.getReaders())

    @property
    def writing(self) -> int:
        """How many connections the site has not yet written everything to."""
        return sum(isinstance(w, Server) for w in self.reactor.getWriters())

    async def all_closed(self) -> None:
        """Wait until the site has no connection open."""
        while self.served:
            await self.turn()
