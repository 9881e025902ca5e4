"""Connections through a proxy that the test plays byte by byte."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from regbroker.causes import Cause
from regbroker.protocol.origins import Origin
from regbroker.transport.client.tunnel import MAX_REPLY_BYTES, TunnelEndpoint
from regbroker.transport.client.tunnel_failures import TunnelFailed
from tests.proxycase import HeldTime, SocketTestCase
from tests.wire import RawClient, Wire


class PlayedProxy(Factory):
    """Keeps whoever connects."""

    noisy = False

    def __init__(self) -> None:
        self.connected: Deferred[Wire] = Deferred()

    def buildProtocol(self, addr: Any) -> Wire:
        wire = Wire()
        self.connected.callback(wire)
        return wire


class TunnelTests(SocketTestCase):
    credentials = b""

    async def set_up(self) -> None:
        await super().set_up()
        self.time: Any = HeldTime()
        self.proxy = PlayedProxy()
        self.listening = self.reactor.listenTCP(0, self.proxy, interface="127.0.0.1")
        self.port = self.listening.getHost().port

    async def tear_down(self) -> None:
        self.assertEqual(self.time.clock.getDelayedCalls(), [])
        await self.listening.stopListening()

    def endpoint(self, port: int, host: str = "registry.test") -> TunnelEndpoint:
        """What connects through the proxy at this port."""
        proxy: IStreamClientEndpoint = HostnameEndpoint(
            self.reactor, "127.0.0.1", port, 5
        )
        return TunnelEndpoint(
            self.time,
            proxy,
            Origin("http", "127.0.0.1", port),
            Origin("https", host, 443),
            lambda: self.credentials,
            10,
        )

    async def asked(
        self, host: str = "registry.test"
    ) -> tuple[Wire, Deferred[Any], bytes]:
        """The proxy's side of a connection, what is waited for, and the request."""
        factory: Any = Factory.forProtocol(RawClient)
        factory.noisy = False
        connecting = self.endpoint(self.port, host).connect(factory)
        wire = await self.proxy.connected
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            await self.turn()
            request = bytes(wire.seen)
        return wire, connecting, request

    async def failed(self, connecting: Deferred[Any], wire: Wire) -> TunnelFailed:
        """The failure; the proxy's connection is closed then."""
        try:
            await connecting
        except TunnelFailed as failed:
            while wire.lost is None:
                await self.turn()
            return failed
        raise AssertionError("the tunnel is open")

    async def opened(self, answer: bytes) -> tuple[Wire, RawClient]:
        """Both ends of a tunnel that this answer has opened."""
        wire, connecting, _ = await self.asked()
        wire.send(answer)
        client: RawClient = await connecting
        self.clients.append(client)
        return wire, client

    async def received(self, client: RawClient, data: bytes) -> None:
        """Wait until the client has this, and check that it has nothing else."""
        while len(client.seen) < len(data):
            await self.turn()
        self.assertEqual(bytes(client.seen), data)

    async def test_request(self) -> None:
        """CONNECT names host and port; without credentials none are sent."""
        wire, connecting, request = await self.asked()
        self.assertEqual(
            request,
            b"CONNECT registry.test:443 HTTP/1.1\r\nHost: registry.test:443\r\n\r\n",
        )
        wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        self.clients.append(await connecting)

    async def test_ipv6(self) -> None:
        """An IPv6 address stands in brackets."""
        wire, connecting, request = await self.asked("::1")
        self.assertTrue(request.startswith(b"CONNECT [::1]:443 HTTP/1.1\r\n"))
        wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        self.clients.append(await connecting)

    async def test_both_ways(self) -> None:
        """Behind the answer all bytes are the server's, also of the same packet."""
        wire, client = await self.opened(
            b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.0 200 Connection established\r\n"
            b"Proxy-Agent: tinyproxy\r\n\r\nhello"
        )
        await self.received(client, b"hello")
        client.send(b"HTTP/1.1 400 is no answer to me")
        wire.send(b" again")
        while len(client.seen) < 11 or not wire.seen.endswith(b"to me"):
            await self.turn()
        self.assertEqual(bytes(client.seen), b"hello again")
        wire.close()
        await client.end()

    async def test_length_of_success(self) -> None:
        """A length in the answer to CONNECT means nothing (RFC 9110, 9.3.6)."""
        _, client = await self.opened(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall of this"
        )
        await self.received(client, b"all of this")

    async def test_refusals(self) -> None:
        """Who says no, and what to do, is in the words and in the cause."""
        for status, words, cause in (
            (b"407 Auth", "proxy-credentials-file", Cause.PROXY_REFUSED),
            (b"403 Filtered", "403 Filtered; its rules", Cause.PROXY_REFUSED),
            (b"302 Found", "refuses CONNECT", Cause.PROXY_REFUSED),
            (b"502 Bad", "could not reach registry.test:443: 502 Bad", None),
            (b"504 \x1b[31m", "could not reach registry.test:443: 504", None),
        ):
            self.proxy.connected = Deferred()
            wire, connecting, _ = await self.asked()
            wire.send(b"HTTP/1.1 %b\r\nContent-Length: 9\r\n\r\nsome page" % status)
            error = await self.failed(connecting, wire)
            self.assertIn(words, str(error))
            self.assertNotIn("\x1b", str(error))
            self.assertIs(error.cause, cause)

    async def test_no_http(self) -> None:
        """What is no answer, or too long a one, is the proxy's failure."""
        for answer, words in (
            (b"SSH-2.0-OpenSSH_9\r\n\r\n", "not HTTP"),
            (b"HTTP/1.1 100 C\r\n\r\n" * 2000, f"more than {MAX_REPLY_BYTES} bytes"),
            (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 20000, f"more than {MAX_REPLY_BYTES}"),
        ):
            self.proxy.connected = Deferred()
            wire, connecting, _ = await self.asked()
            wire.send(answer)
            error = await self.failed(connecting, wire)
            self.assertIn(words, str(error))
            self.assertIs(error.cause, Cause.PROXY_UNREACHABLE)

    async def test_closed(self) -> None:
        """A proxy that closes the connection is said to have done so."""
        wire, connecting, _ = await self.asked()
        wire.close()
        error = await self.failed(connecting, wire)
        self.assertIn("closed the connection without an answer", str(error))

    async def test_silent(self) -> None:
        """A proxy that does not answer is not waited for longer than the timeout."""
        wire, connecting, _ = await self.asked()
        self.time.clock.advance(9.9)
        self.assertFalse(connecting.called)
        self.time.clock.advance(0.2)
        error = await self.failed(connecting, wire)
        self.assertIn("no answer to CONNECT in time", str(error))
        self.assertIs(error.cause, Cause.PROXY_UNREACHABLE)

    async def test_unreachable(self) -> None:
        """No connection to the proxy is not blamed on the server."""
        free = self.reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        port = free.getHost().port
        await free.stopListening()
        with self.assertRaisesRegex(
            TunnelFailed, f"127.0.0.1:{port} cannot be reached"
        ):
            await self.endpoint(port).connect(Factory.forProtocol(RawClient))

    async def test_cancelled(self) -> None:
        """Who is not interested any more ends the connection."""
        wire, connecting, _ = await self.asked()
        connecting.cancel()
        with self.assertRaises(CancelledError):
            await connecting
        while wire.lost is None:
            await self.turn()


class CredentialsTests(TunnelTests):
    """The same with credentials; the words of 407 are others."""

    credentials = b"Basic dTpw"

    async def test_request(self) -> None:
        """They go to the proxy."""
        wire, connecting, request = await self.asked()
        self.assertIn(b"\r\nProxy-Authorization: Basic dTpw\r\n", request)
        wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        self.clients.append(await connecting)

    async def test_refusals(self) -> None:
        """The file is what is wrong, and its content is not told."""
        wire, connecting, _ = await self.asked()
        wire.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        error = await self.failed(connecting, wire)
        self.assertIn("refuses the user and password", str(error))
        self.assertNotIn("dTpw", str(error))

    async def test_missing(self) -> None:
        """Without those that there should be, the proxy is not asked at all."""

        def missing() -> bytes:
            raise ValueError("/file: no such file")

        endpoint = self.endpoint(self.port)
        endpoint._credentials = missing
        with self.assertRaisesRegex(TunnelFailed, "are missing: /file"):
            await endpoint.connect(Factory.forProtocol(RawClient))
