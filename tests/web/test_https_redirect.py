"""Listeners that send clients on to https."""

from __future__ import annotations

from tests.certificates import Looking
from tests.proxycase import MANIFEST, ProxyTestCase
from tests.wire import Message

REDIRECT = "redirect:0:interface=127.0.0.1"
TLS = "tls:0:interface=127.0.0.1"


class RedirectCase(ProxyTestCase):
    listen = f"\n    {REDIRECT}\n    {TLS}"
    main = "health-path = /healthz"
    more = "hosts = a.test, 127.0.0.1"

    def tls_port(self) -> str:
        """The port that clients are sent to."""
        return self.services[0].listeners[1].url.rpartition(":")[2]

    async def asked(self, line: str, host: str, *headers: str) -> Message:
        """The reply to a request with this line."""
        client = await self.connect()
        client.send("\r\n".join([line, f"Host: {host}", *headers, "", ""]).encode())
        return await client.reply(line.partition(" ")[0])


class HttpsRedirectTests(RedirectCase):
    async def test_location(self) -> None:
        """308 for any method, to the same host and target on the TLS port."""
        for method in ("GET", "HEAD", "POST", "DELETE"):
            reply = await self.asked(
                f"{method} /v2/a/b/blobs/uploads/?n=1%2F&x HTTP/1.1", "a.test:80"
            )
            self.assertEqual((reply.status, reply.body), (308, b""))
            self.assertEqual(reply.header(b"Server"), b"regbroker")
            self.assertEqual(reply.header(b"Content-Length"), b"0")
            self.assertEqual(
                reply.header(b"Location"),
                f"https://a.test:{self.tls_port()}/v2/a/b/blobs/uploads/"
                "?n=1%2F&x".encode(),
            )

    async def test_logged(self) -> None:
        """The request is in the log, with the registry that it was for."""
        told = self.event()
        await self.asked("GET /v2/ HTTP/1.1", "A.test")
        event = (await told)["event"]
        self.assertEqual((event.status, event.registry), (308, "A.test"))

    async def test_hosts(self) -> None:
        """Nobody is sent to a host that is not served, or that is none."""
        for host, status in (("evil.test", 421), ("a.test@evil.test", 400), ("", 400)):
            reply = await self.asked("GET /v2/ HTTP/1.1", host)
            self.assertEqual(reply.status, status)
            self.assertIsNone(reply.header(b"Location"))

    async def test_targets(self) -> None:
        """What is no path leads to the host itself."""
        for target, path in (
            ("*", "/*"),
            ("//evil.test/x", "//evil.test/x"),
        ):
            reply = await self.asked(f"OPTIONS {target} HTTP/1.1", "a.test")
            self.assertEqual(
                reply.header(b"Location"),
                f"https://a.test:{self.tls_port()}{path}".encode(),
            )

    async def test_health(self) -> None:
        """Balancers are answered here, too."""
        reply = await self.asked("GET /healthz HTTP/1.1", "x")
        self.assertEqual(reply.status, 200)

    async def test_followed(self) -> None:
        """What the Location names answers."""
        reply = await self.asked(f"GET {MANIFEST} HTTP/1.1", "127.0.0.1")
        location = reply.header(b"Location")
        assert location is not None
        port = int(location.decode().split(":")[2].partition("/")[0])
        client = await self.connect_to(port, Looking())
        client.request("GET", MANIFEST, "Host: 127.0.0.1")
        (await self.upstream.call()).reply(404)
        self.assertEqual((await client.reply()).status, 404)


class PublicUrlTests(RedirectCase):
    """Where the public URL is known, it is where clients are sent."""

    more = "public-url = https://registry.test"

    async def test_location(self) -> None:
        """It counts more than the host that was asked for, and its port."""
        reply = await self.asked("GET /v2/?n=1 HTTP/1.1", "other.test:80")
        self.assertEqual(
            (reply.status, reply.header(b"Location")),
            (308, b"https://registry.test/v2/?n=1"),
        )

    async def test_hosts(self) -> None:
        """Every host is served."""
        reply = await self.asked("GET /v2/ HTTP/1.1", "evil.test")
        self.assertEqual(reply.header(b"Location"), b"https://registry.test/v2/")

    async def test_targets(self) -> None:
        """The path stays."""
        reply = await self.asked("OPTIONS * HTTP/1.1", "a.test")
        self.assertEqual(reply.header(b"Location"), b"https://registry.test/*")


class PlainPublicUrlTests(RedirectCase):
    """Clients are on their way to https, whatever the public URL says."""

    more = "public-url = http://registry.test"

    async def test_location(self) -> None:
        """It is the host that was asked for, on the TLS port."""
        reply = await self.asked("GET /v2/ HTTP/1.1", "a.test")
        self.assertEqual(
            (reply.status, reply.header(b"Location")),
            (308, f"https://a.test:{self.tls_port()}/v2/".encode()),
        )
