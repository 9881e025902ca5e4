"""The end of a connection, as clients see it that do not close when they are told."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.tcp import Server

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.listening.proxy_lines import ProxiedEndpoint
from regbroker.transport.server.lingering import (
    CLOSE_SECONDS,
    LINGER_SECONDS,
    MAX_LINGER_BYTES,
)
from regbroker.transport.server.replies import send_bytes
from regbroker.transport.server.site import StreamingSite
from regbroker.transport.server.strict_channel import (
    MAX_HEADERS,
    MAX_HEADERS_BYTES,
)
from regbroker.transport.tls.factory import TLSFactory
from tests.certificates import Looking, issued
from tests.channelcase import GET, POST, ChannelTestCase, answer
from tests.halfclosed import PatientClient, PatientTLSClient, connected
from tests.proxycase import SiteTestCase
from tests.wire import RawClient

#: What the parser itself refuses: 400 and 431, at each place where it can.
REFUSED = (
    b"nonsense\r\n\r\n",
    GET + b"no colon\r\n\r\n",
    GET + b"A: \x00\r\n\r\n",
    GET + b"A: b\r\n c\r\n\r\n",
    GET + b"Authorization: Basic YQ==\r\nAuthorization: Basic Yg==\r\n\r\n",
    GET + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    GET + b"A: " + b"b" * MAX_HEADERS_BYTES + b"\r\n\r\n",
    b"GET /" + b"a" * (MAX_HEADERS_BYTES + 10) + b" HTTP/1.1\r\n\r\n",
    POST + b"Content-Length: x\r\n\r\n",
    POST + b"Transfer-Encoding: gzip\r\n\r\n",
)


class PlainTests(SiteTestCase):
    """
    Time stands still, so an end that is seen has not waited for anything.

    The site is as a client of plain HTTP meets it.
    """

    kind: type[PatientClient] = PatientClient
    client: Any

    async def connect(self) -> Any:
        client = await connected(self.kind, self.port)
        self.clients.append(client)
        return client

    @property
    def port(self) -> int:
        """Where the site listens."""
        return int(self.listening.getHost().port)

    @property
    def served(self) -> int:
        """How many connections the site reads from."""
        return sum(
            isinstance(r, Server) and r.getHost().port == self.port
            for r in self.reactor.getReaders()
        )

    async def assert_ended(self) -> None:
        """The end of the stream is here, and the site still reads."""
        rest = await self.client.until_fin()
        self.assertEqual(rest, b"")
        self.assertIsNone(self.client.lost)
        self.client.send(b"x" * 70000)
        for _ in range(5):
            await self.turn()
        self.assertIsNone(self.client.lost)
        self.assertEqual(self.served, 1)

    async def assert_closed(self) -> None:
        """The connection ends, and so do its timers."""
        self.client.close()
        await self.client.end()
        while self.served:
            await self.turn()
        self.assertEqual(self.timers(), [])

    def timers(self) -> list[Any]:
        """What waits for the site's time, but for the site's own date."""
        calls = self.time.clock.getDelayedCalls()
        return [call for call in calls if "_updateLogDateTime" not in str(call)]

    async def refused(self, raw: bytes) -> None:
        """Send this to a new connection, and read the whole reply."""
        self.client.close()
        await self.client.end()
        self.client = await self.connect()
        self.client.send(raw)
        reply = await self.client.reply()
        self.assertIn(reply.status, (400, 431))
        self.assertEqual(reply.header(b"Connection"), b"close")

    async def test_refused(self) -> None:
        """The end comes with the refusal; what follows is read; then it is closed."""
        for raw in REFUSED:
            await self.refused(raw)
            await self.assert_ended()
            await self.assert_closed()
        self.assertEqual(self.resource.requests.pending, [])

    async def test_bound_in_time(self) -> None:
        """A client that never closes is not waited for."""
        await self.refused(REFUSED[0])
        await self.assert_ended()
        self.time.clock.advance(LINGER_SECONDS + 0.1)
        while self.served:
            await self.turn()
        await self.assert_closed()

    async def test_bound_in_bytes(self) -> None:
        """One that sends and sends is read no further, and not reset too early."""
        await self.refused(REFUSED[0])
        await self.client.until_fin()
        sent = 0
        while self.served:
            sent += 100_000
            self.client.send(bytes(100_000))
            await self.turn()
        self.assertGreater(sent, MAX_LINGER_BYTES)
        # Its writes may wait, and nothing else happens to it.
        self.client.send(bytes(32 * MAX_LINGER_BYTES))
        for _ in range(50):
            await self.turn()
        self.assertIsNone(self.client.lost)
        self.time.clock.advance(LINGER_SECONDS + 0.1)
        await self.client.end()
        await self.assert_closed()

    async def test_broken_chunk(self) -> None:
        """A body that turns out to be none is refused likewise."""
        await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        self.client.send(b"nonsense\r\n")
        self.assertEqual((await self.client.reply()).status, 400)
        await self.assert_ended()
        await self.assert_closed()

    async def test_unwanted_body(self) -> None:
        """A reply that says close, before the body, brings the end with it."""
        for headers in (
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
            b"Content-Length: 100000000\r\n\r\nab",
            b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
            b"Connection: close\r\nContent-Length: 10\r\n\r\nab",
        ):
            request = await self.received(POST, headers)
            send_bytes(request, 401, b"text/plain", b"who are you?")
            reply = await self.client.reply()
            self.assertEqual(reply.header(b"Connection"), b"close")
            await self.assert_ended()
            await self.assert_closed()
            self.client = await self.connect()

    async def test_last_reply(self) -> None:
        """So does a reply to who has asked for no other one."""
        request = await self.received(GET, b"Connection: close\r\n\r\n")
        send_bytes(request, 200, b"text/plain", bytes(1_000_000))
        self.assertEqual(len((await self.client.reply()).body), 1_000_000)
        await self.assert_ended()
        await self.assert_closed()

    async def test_idle(self) -> None:
        """A client that says nothing is told, too."""
        send_bytes(await self.received(GET, b"\r\n"), 200, b"text/plain", b"")
        await self.client.reply()
        self.client.send(GET)
        for _ in range(9):
            await self.turn()
            self.time.clock.advance(10)
        await self.client.until_fin()
        await self.assert_closed()


class TLSTests(PlainTests):
    """In TLS, close_notify comes before FIN."""

    kind = PatientTLSClient

    async def set_up(self) -> None:
        await super().set_up()
        pair = issued("a.test")
        self.options = certificate_options(pair.certificate, pair.key)
        plain, self.listening = self.listening, self.listen_tls()
        self.client.reset()
        await self.client.end()
        await plain.stopListening()
        self.client = await self.connect()

    def listen_tls(self) -> Any:
        """Listen for TLS."""
        site = StreamingSite(self.resource, reactor=self.time)
        factory = TLSFactory(self.options, False, site)
        return self.reactor.listenTCP(0, factory, interface="127.0.0.1")

    async def connect(self) -> Any:
        # The base class listens without TLS at first.
        kind = self.kind if hasattr(self, "options") else PatientClient
        client = await connected(kind, self.port)
        self.clients.append(client)
        return client

    async def assert_ended(self) -> None:
        await self.client.wait(lambda: self.client.close_notify)
        await super().assert_ended()

    async def test_no_handshake(self) -> None:
        """Who never speaks TLS is closed as well, and nothing is left behind."""
        self.client.reset()
        await self.client.end()
        self.client = await connected(PatientClient, self.port)
        self.clients.append(self.client)
        while not self.served:
            await self.turn()
        self.time.clock.pump([30, 31])
        while self.served:
            await self.turn()
        await self.assert_closed()


class ProxiedTests(PlainTests):
    """Behind a balancer that sends PROXY lines there is one layer more."""

    before = b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n"

    async def set_up(self) -> None:
        await super().set_up()
        plain = self.listening
        self.client.reset()
        await self.client.end()
        await plain.stopListening()
        site = StreamingSite(self.resource, reactor=self.time)
        endpoint = ProxiedEndpoint(
            serverFromString(self.reactor, "tcp:0:interface=127.0.0.1"),
            lambda host: True,
            site.malformed,
        )
        self.listening = await endpoint.listen(site)
        self.client = await self.connect()

    async def connect(self) -> Any:
        client = await super().connect()
        client.send(self.before)
        return client


class HalfClosedTests(SiteTestCase):
    """Clients that have sent their own end by the time that they are answered."""

    @property
    def served(self) -> int:
        """How many connections the site reads from."""
        return sum(isinstance(r, Server) for r in self.reactor.getReaders())

    async def test_half_closed(self) -> None:
        """They get all of the answer."""
        address = ("127.0.0.1", self.listening.getHost().port)
        for raw in REFUSED:
            with socket.create_connection(address) as client:
                client.sendall(raw)
                client.shutdown(socket.SHUT_WR)
                while self.served < 2:
                    await self.turn()
                while self.served > 1:
                    await self.turn()
                answer = client.makefile("rb").read()
            self.assertRegex(answer, rb"(?s)^HTTP/1.1 4[03][01] .*}\n$")


class CloseTests(ChannelTestCase):
    """Clients behind TLS that never answer a close_notify."""

    async def set_up(self) -> None:
        await super().set_up()
        pair = issued("a.test")
        factory = TLSFactory(
            certificate_options(pair.certificate, pair.key),
            False,
            StreamingSite(self.resource, reactor=self.time),
        )
        factory.noisy = False
        self.secure = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.client.close()
        await self.all_closed()
        self.timers = self.time.clock.getDelayedCalls()
        self.client = await self.connect()

    async def tear_down(self) -> None:
        await super().tear_down()
        await self.secure.stopListening()

    async def connect(self) -> RawClient:
        if not hasattr(self, "secure"):
            return await super().connect()
        return await self.connect_to(self.secure.getHost().port, Looking())

    async def assert_cut(self) -> None:
        """The site waits for the client's close_notify, but not for ever."""
        for _ in range(10):
            await self.turn()
        self.time.clock.advance(LINGER_SECONDS - 1)
        await self.turn()
        self.assertEqual(self.served, 1)
        self.time.clock.advance(2)
        await self.all_closed()
        self.assertEqual(self.time.clock.getDelayedCalls(), self.timers)
        self.client.resume()
        await self.client.end()

    async def test_connection_close(self) -> None:
        """After the last reply."""
        request = await self.received(GET, b"Connection: close\r\n\r\n")
        self.client.pause()
        answer(request)
        await self.assert_cut()

    async def test_refused(self) -> None:
        """After what was no request."""
        answer(await self.received(GET, b"\r\n"))
        await self.client.reply()
        self.client.pause()
        self.client.send(b"nonsense\r\n\r\n")
        await self.assert_cut()

    async def test_unwanted_body(self) -> None:
        """After a reply that came before its request's body."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        self.client.pause()
        answer(request)
        await self.assert_cut()

    async def test_reads_late(self) -> None:
        """A reply that is not taken yet is waited for longer, but not for ever."""
        request = await self.received(GET, b"Connection: close\r\n\r\n")
        self.client.pause()
        answer(request, bytes(16 * 1024 * 1024))
        for seconds in (LINGER_SECONDS + 1, CLOSE_SECONDS - 2):
            for _ in range(10):
                await self.turn()
            self.time.clock.advance(seconds)
        await self.turn()
        self.assertEqual(self.writing, 1)
        self.time.clock.advance(2)
        while self.writing:
            await self.turn()
        self.assertEqual(self.time.clock.getDelayedCalls(), self.timers)

    async def test_in_order(self) -> None:
        """Who plays by the rules is not cut, and no timer is left behind."""
        answer(await self.received(GET, b"Connection: close\r\n\r\n"))
        await self.client.reply()
        await self.client.end()
        await self.all_closed()
        self.assertTrue(self.client.closed_in_order)
        self.assertEqual(self.time.clock.getDelayedCalls(), self.timers)
