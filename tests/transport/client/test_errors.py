"""What a failed request becomes."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import TimeoutError as HandshakeTimeout
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import (
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.protocol.origins import Origin
from regbroker.transport.bodies.upload import gather_body
from regbroker.transport.client.errors import converted_error
from regbroker.transport.client.pool import (
    ConnectionPool,
)
from regbroker.transport.client.trust import Trust
from tests.connectionscase import ConnectionsTestCase
from tests.malformed_replies import MALFORMED
from tests.scripted import response


class FailureTests(ConnectionsTestCase):
    async def test_nobody_there(self) -> None:
        """A port where nobody listens."""
        port = self.upstream.port
        await self.upstream.stop()
        self.connections = self.to(port)
        error: Any = await self.assertFailure(self.ask(), UpstreamUnavailable)
        self.assertNotIn(str(port), error.message)

    async def test_no_name(self) -> None:
        """A host that has no address."""
        origin = Origin("http", "nobody.invalid", 80)
        endpoint = Trust().endpoint(self.reactor, origin, 5)
        self.connections = ConnectionPool(self.time, origin, endpoint, 5)
        await self.assertFailure(self.ask(), UpstreamUnavailable)

    async def test_not_http(self) -> None:
        """Somebody there, but no web server."""
        for answer in (
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            b"HTTP/1.1 OK\r\n\r\n",
            response(200, "Content-Length: 3", "Content-Length: 4"),
            response(200, "Content-Length: x"),
        ):
            asking = self.ask()
            call = await self.upstream.call()
            call.answer(answer)
            call.wire.close()
            with self.assertRaises((UpstreamMalformed, UpstreamUnavailable)):
                await gather_body(await asking, 100)

    async def test_not_http_in_order(self) -> None:
        """What is no HTTP is that, and no connection that was closed."""
        for answer in (b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 OK\r\n\r\n"):
            asking = self.ask()
            (await self.upstream.call()).answer(answer)
            error: Any = await self.assertFailure(asking, UpstreamMalformed)
            self.assertIn("is not HTTP", error.message)

    async def test_trailers(self) -> None:
        """What stands behind a body goes no further, and is to be HTTP as well."""
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
        reply = await self.asked(head + b"A: b\r\n\r\n")
        self.assertEqual(await gather_body(reply, 9), b"a")
        self.assertIsNone(reply.header(b"A"))
        asking = self.ask()
        (await self.upstream.call()).answer(head + b"A: \x01\r\n\r\n")
        error: Any = await self.assertFailure(asking, UpstreamMalformed)
        self.assertIn("is not HTTP", error.message)

    async def test_malformed(self) -> None:
        """What could be read in another way behind us is no reply."""
        for name, answer in MALFORMED.items():
            asking = self.ask()
            call = await self.upstream.call()
            call.answer(answer)
            error = None
            try:
                await gather_body(await asking, 1000)
            except UpstreamMalformed as malformed:
                error = malformed
            self.assertIsNotNone(error, name)
            await call.wire.end()

    async def test_tls_where_there_is_none(self) -> None:
        """A plain port behind an https URL: no trusted connection."""
        self.upstream.serves = False
        self.connections = self.to(self.upstream.port, "https")
        asking = self.ask()
        asking.addBoth(lambda result: result)
        while not self.upstream.wires or not self.upstream.wires[0].seen:
            await self.turn()
        self.upstream.wires[0].send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await self.assertFailure(asking, UpstreamUnavailable)

    async def test_handshake_without_end(self) -> None:
        """A handshake that never ends is given up in time."""
        self.upstream.serves = False
        self.connections = self.to(self.upstream.port, "https")
        asking = self.ask()
        while not self.upstream.wires or not self.upstream.wires[0].seen:
            await self.turn()
        self.time.clock.advance(5.1)
        await self.assertFailure(asking, UpstreamTimeout)
        await self.upstream.wires[0].end()


class WordsTests(SynchronousTestCase):
    """The log says in words for people why a request has failed."""

    def test_each(self) -> None:
        """Neither Twisted's classes, nor that a failure was clean."""
        origin = Origin("https", "up.example", 8443)
        untrusted = SSL.Error([("SSL routines", "", "certificate verify failed")])
        for error, words in (
            (
                ConnectionDone(),
                "it closed the connection before its answer was complete",
            ),
            (
                ConnectionLost(),
                "the connection broke off before the answer was complete",
            ),
            (DNSLookupError("no results"), "no address for up.example is found"),
            (ConnectionRefusedError(), "it refuses connections"),
            (ConnectTimeout(), "no connection in time"),
            (HandshakeTimeout(), "no TLS handshake in time"),
            (
                untrusted,
                "no trusted TLS connection: certificate verify failed",
            ),
            (
                SSL.Error([("SSL routines", "", "wrong version number")]),
                "no trusted TLS connection: wrong version number; does it speak plain "
                "http?",
            ),
            (
                SSL.Error(),
                "no trusted TLS connection: TLS ended early",
            ),
            (ValueError("odd"), "ValueError: odd"),
        ):
            with capturedLogs() as events:
                converted_error(error, origin)
            (event,) = events
            self.assertEqual(
                formatEvent(event),
                f"the upstream registry, https://up.example:8443: {words}",
            )
