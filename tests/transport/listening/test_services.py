"""Listeners: what is said when one cannot be had, and PROXY lines."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from regbroker.errors import StateError
from regbroker.settings.endpoints import listener
from regbroker.transport.listening.listeners import Listener
from regbroker.transport.listening.services import BACKLOG, ListeningService
from regbroker.transport.server.site import StreamingSite
from tests.proxycase import MANIFEST, ProxyTestCase

V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 1234 443\r\n"
V2 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
    b"\xcb\x00\x71\x07\xc0\x00\x02\x01\x04\xd2\x01\xbb"
)
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
"""A balancer's own health check."""


class TakenReactor(MemoryReactor):
    """Has no port left."""

    def listenTCP(self, port: int, *args: Any, **kwargs: Any) -> Any:
        """Refuse."""
        cause = OSError(98, "Address already in use")
        raise CannotListenError("127.0.0.1", port, cause)


class ListeningTests(SynchronousTestCase):
    def make(self, reactor: Any, line: str) -> ListeningService:
        """The service of one line of ``listen``."""
        site = StreamingSite(Resource(), reactor=reactor)
        return ListeningService(reactor, listener(line), site, None)

    def test_taken(self) -> None:
        """A port that is taken is said with the line as it is written."""
        for line in ("tcp:8080", "proxy:tcp:8080"):
            service = self.make(TakenReactor(), line)
            error = self.assertRaises(StateError, service.startService)
            self.assertTrue(
                str(error).startswith(
                    f"[regbroker] listen: cannot listen on {line}: Address already in "
                    "use; port 8080 is taken: "
                ),
                error,
            )

    def test_no_directory(self) -> None:
        """A socket without a directory is told without the name of Twisted's lock."""
        line = "unix:/nowhere/s"
        service = self.make(reactor, line)
        error = self.assertRaises(StateError, service.startService)
        self.assertEqual(
            str(error),
            f"[regbroker] listen: cannot listen on {line}: No such file or directory; "
            "there is no directory /nowhere; make it",
        )

    def test_not_handed_over(self) -> None:
        """A socket that systemd has not handed over is named, with what to look at."""
        for words in ("name=https", "index=7"):
            service = self.make(MemoryReactor(), f"systemd:domain=INET:{words}")
            error = self.assertRaises(StateError, service.startService)
            self.assertIn(
                "systemd has handed over no socket with the " + words.replace("=", " "),
                str(error),
            )
            self.assertIn("FileDescriptorName", str(error))

    def test_url(self) -> None:
        """IPv6 stands in brackets; the scheme is what clients speak there."""
        service = self.make(MemoryReactor(), "tcp:8080:interface=\\:\\:1")
        service.startService()
        self.assertEqual(service.url, "http://[::1]:8080")

    def test_backlog(self) -> None:
        """Many clients may wait, unless the line says how many."""
        for line, backlog in (
            ("tcp:8080", BACKLOG),
            ("tcp:8080:interface=127.0.0.1", BACKLOG),
            ("tcp:8080:backlog=7", 7),
            ("unix:/run/x.sock", BACKLOG),
            ("unix:/run/x.sock:mode=660:backlog=7", 7),
        ):
            reactor = MemoryReactor()
            self.make(reactor, line).startService()
            ((_, _, given, *_),) = reactor.tcpServers + reactor.unixServers
            self.assertEqual(given, backlog, line)

    def test_tells_listeners_apart(self) -> None:
        """``proxy:`` is about every kind of listener, ``tls:`` behind it."""
        self.assertEqual(
            listener("proxy:tls:8443"),
            Listener("proxy:tls:8443", "tcp:8443", True, True),
        )
        self.assertEqual(
            listener("proxy:tcp:8080"),
            Listener("proxy:tcp:8080", "tcp:8080", False, True),
        )


class ProxyLineTests(ProxyTestCase):
    listen = "proxy:tcp:0:interface=127.0.0.1"
    main = "trusted-proxies = 127.0.0.1"

    async def asked(self, *parts: bytes) -> str:
        """The client's address in the log when a request comes after this."""
        client = await self.connect()
        told = self.event()
        for part in parts:
            client.send(part)
            await self.turn()
        client.request("GET", MANIFEST)
        (await self.upstream.call()).reply(404)
        self.assertEqual((await client.reply()).status, 404)
        address: str = (await told)["event"].client
        return address

    async def test_versions(self) -> None:
        """Both, and a check that is the balancer's own."""
        self.assertEqual(await self.asked(V1), "203.0.113.7")
        self.assertEqual(await self.asked(V2), "203.0.113.7")
        self.assertEqual(await self.asked(LOCAL), "127.0.0.1")

    async def test_told_upstream(self) -> None:
        """The upstream hears the client's address, not the balancer's."""
        client = await self.connect()
        client.send(V1)
        client.request("GET", MANIFEST, "X-Forwarded-For: 198.51.100.1")
        call = await self.upstream.call()
        self.assertEqual(call.header(b"X-Forwarded-For"), b"203.0.113.7")
        self.assertEqual(call.header(b"X-Real-IP"), b"203.0.113.7")
        call.reply(404)
        await client.reply()

    async def test_nonsense(self) -> None:
        """What is no PROXY line ends the connection, and is answered nothing."""
        for data in (
            b"GET /v2/ HTTP/1.1\r\n\r\n",
            b"PROXY x\r\n" + b"x" * 200,
            LOCAL[:9] + b"x",
        ):
            client = await self.connect()
            client.send(data)
            await client.end()
            self.assertEqual(bytes(client.seen), b"")
        self.assertEqual(self.upstream.calls, [])


class StrangerTests(ProxyTestCase):
    listen = "proxy:tcp:0:interface=127.0.0.1"
    main = "trusted-proxies = 10.0.0.0/8"

    async def test_hung_up(self) -> None:
        """Whoever is no trusted proxy is not listened to, and is logged."""
        told = self.event()
        client = await self.connect()
        client.send(V1)
        client.request("GET", MANIFEST)
        await client.end()
        self.assertEqual(bytes(client.seen), b"")
        event = await told
        self.assertEqual(event["client"], "127.0.0.1")
        self.assertIn("not in trusted-proxies", event["outcome"])
        self.assertEqual(self.upstream.calls, [])
