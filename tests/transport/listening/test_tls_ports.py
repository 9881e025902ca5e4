"""A port for TLS: plain HTTP there, and handshakes that fail."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.web.resource import Resource

from regbroker.transport.listening.tls_ports import TLSOrPlainFactory
from regbroker.transport.server.lingering import MAX_LINGER_BYTES
from regbroker.transport.server.site import StreamingSite
from regbroker.transport.tls.protocol import MOST_STEPS
from tests.certificates import Looking
from tests.proxycase import MANIFEST, ProxyTestCase
from tests.transport.tls.test_steps import SOON, StepsCase

FAILED = "regbroker.transport.server.failed_tls"


class PlainHTTPTests(ProxyTestCase):
    listen = "tls:0:interface=127.0.0.1"

    async def refused(self, data: bytes) -> bytes:
        """What a client reads until the end when it sends this."""
        client = await self.connect()
        client.send(data)
        answer = await client.end()
        return bytes(answer)

    async def test_told(self) -> None:
        """The answer is readable without TLS, ends in order, and is in the log."""
        told = self.event()
        answer = await self.refused(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"))
        self.assertIn(b"write https://", answer)
        event = (await told)["event"]
        self.assertEqual((event.client, event.status), ("127.0.0.1", 400))
        self.assertIn("plain HTTP", event.outcome)

    async def test_one_byte(self) -> None:
        """The first byte decides, however much comes with it."""
        self.assertIn(b" 400 ", await self.refused(b"P"))

    async def test_head(self) -> None:
        """The answer to HEAD has no body."""
        answer = await self.refused(b"HEAD / HTTP/1.1\r\n\r\n")
        self.assertTrue(answer.endswith(b"\r\n\r\n"))

    async def test_too_much(self) -> None:
        """A client that goes on sending is cut off, after it could read."""
        client = await self.connect()
        client.send(b"PUT / HTTP/1.1\r\n\r\n" + bytes(MAX_LINGER_BYTES + 65536))
        while client.lost is None:
            await self.turn()
        self.assertIn(b" 400 ", client.seen)

    async def test_tls(self) -> None:
        """A TLS client loses nothing."""
        client = await self.connect(Looking())
        client.request("GET", MANIFEST)
        (await self.upstream.call()).reply(404)
        self.assertEqual((await client.reply()).status, 404)

    async def test_malformed(self) -> None:
        """What is no request has the version of TLS in its line, as others have."""
        for raw in (
            b"nonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        ):
            told = self.event()
            client = await self.connect(Looking())
            client.send(raw)
            self.assertIn(b" 400 ", await client.end())
            event = (await told)["event"]
            self.assertIn("malformed: ", event.outcome)
            self.assertRegex(event.tls, r"^TLSv1\.[23]$")

    async def test_garbage(self) -> None:
        """What is neither is no business of ours: OpenSSL ends it."""
        told = self.logged(FAILED, "reason")
        self.assertNotIn(b" 400 ", await self.refused(b"\x00" * 16))
        self.assertEqual((await told)["client"], "127.0.0.1")


class FailedHandshakeTests(ProxyTestCase):
    listen = "tls:0:interface=127.0.0.1"
    autostart = False

    async def set_up(self) -> None:
        await super().set_up()
        await self.serve()
        self.events = EventLoggingObserver()
        globalLogPublisher.addObserver(self.events)
        self.addCleanup(globalLogPublisher.removeObserver, self.events)

    def lines(self) -> list[tuple[str, str, str]]:
        """Client, listener and reason of all lines so far."""
        return [
            (event["client"], event["listener"], event["reason"])
            for event in self.events
            if event.get("log_namespace") == FAILED
        ]

    async def test_old_version(self) -> None:
        """A client that speaks nothing that we do is named, with the reason."""
        client = await self.connect(Looking(newest=SSL.TLS1_1_VERSION))
        client.request("GET", MANIFEST)
        await client.end()
        ((who, listener, reason),) = self.lines()
        self.assertEqual((who, listener), ("127.0.0.1", self.listen))
        self.assertEqual(reason, "unsupported protocol")

    async def test_alert(self) -> None:
        """A client that does not trust our certificate says so, and that is told."""
        distrusting = Looking()
        distrusting.context.set_verify(SSL.VERIFY_PEER, lambda *_: False)
        client = await self.connect(distrusting)
        client.request("GET", MANIFEST)
        await client.end()
        while not self.lines():
            await self.turn()
        ((_, _, reason),) = self.lines()
        self.assertRegex(reason, "^the client says: .* alert ")

    async def test_no_word(self) -> None:
        """Who hangs up before the handshake, or after it, has no line."""
        for bytes_sent in (b"", b"\x16\x03\x01\x02\x00"):
            client = await self.connect()
            client.send(bytes_sent)
            client.close()
            await client.end()
        client = await self.connect(Looking())
        client.request("GET", MANIFEST)
        (await self.upstream.call()).reply(404)
        await client.reply()
        client.reset()
        await client.end()
        # Connections are accepted in order, and end before a later one is served.
        await self.connect(Looking(newest=SSL.TLS1_1_VERSION))
        while not self.lines():
            await self.turn()
        self.assertEqual(
            [reason for *_, reason in self.lines()], ["unsupported protocol"]
        )


class BehindProxyTests(ProxyTestCase):
    listen = "proxy:tls:0:interface=127.0.0.1"
    main = "trusted-proxies = 127.0.0.1"

    async def test_client(self) -> None:
        """The client of the proxy is named, not the proxy."""
        told = self.logged(FAILED, "reason")
        self.client.send(b"PROXY TCP4 203.0.113.7 192.0.2.1 1234 443\r\n" + bytes(16))
        await self.client.end()
        event = await told
        self.assertEqual(
            (event["client"], event["listener"]), ("203.0.113.7", self.listen)
        )


class FloodTests(StepsCase):
    """A client that is cut off for new keys without end."""

    def make_tls(self, options: Any, factory: Any) -> Any:
        site: Any = StreamingSite(Resource(), reactor=Clock())
        site.buildProtocol = lambda _: self.inner
        secure: Any = TLSOrPlainFactory(options, site, "tls:443")
        secure.call_later = self.reactor.callLater
        return secure.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))

    def test_told(self) -> None:
        """The log says who it was, and what it did."""
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        self.transport.getPeer = lambda: IPv4Address("TCP", "192.0.2.1", 1)
        self.change_keys(MOST_STEPS)
        while self.inner.lost is None:
            self.assertTrue(self.reactor.run(SOON))
            self.reactor.advance(0)
        (event,) = [event for event in events if event["log_namespace"] == FAILED]
        self.assertEqual(
            (event["client"], event["listener"], event["reason"]),
            ("192.0.2.1", "tls:443", "too many messages of TLS itself"),
        )
