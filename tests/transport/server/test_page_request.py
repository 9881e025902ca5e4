"""Pages of an application, on a site in which bodies stream."""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from regbroker.transport.server.body_reading import read_body
from regbroker.transport.server.pace import Pace
from regbroker.transport.server.request_bodies import request_body
from regbroker.transport.server.site import StreamingSite
from tests.proxycase import SiteTestCase

FORM = (
    "POST /form?a=1&b= HTTP/1.1\r\nHost: x\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n"
)
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="c"\r\n\r\nd\r\n--x--\r\n'


class Page(Resource):
    """Says what it finds in a request, and fails where the query has ``fail``."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        if b"fail" in request.args:
            raise ValueError("a mistake of the page")
        return repr((request.args, request.content.read())).encode()

    render_POST = render_PUT = render_GET


class Wrapped(Page):
    """A page around a resource that streams, which reads the body as such one does."""

    def render_PUT(self, request: Any) -> Any:
        read_body(request, 10).addCallback(request.write).addBoth(
            lambda _: request.finish()
        )
        return NOT_DONE_YET


class PageTests(SiteTestCase):
    """A site of ours."""

    page = Page

    def make_site(self) -> Site:
        pages = Resource()
        pages.putChild(b"form", self.page())
        pages.putChild(b"streaming", self.resource)
        return StreamingSite(pages, Pace(silence=60.0, rate=100.0), self.time)

    async def said(self, *parts: bytes) -> str:
        """Send parts of a request, one after the other; what the page says."""
        for part in parts:
            self.client.send(part)
            await self.turn()
        reply = await self.client.reply()
        self.assertEqual(reply.status, 200)
        return reply.body.decode()

    async def test_query(self) -> None:
        """The parameters of a query, and no body."""
        self.client.request("GET", "/form?a=1&a=2&b=")
        reply = await self.client.reply()
        found = {b"a": [b"1", b"2"], b"b": [b""]}
        self.assertEqual(reply.body.decode(), repr((found, b"")))

    async def test_form(self) -> None:
        """The parameters of a form with those of the query, however it comes."""
        found = repr(({b"a": [b"1"], b"b": [b""], b"c": [b"d e"]}, b"c=d+e"))
        for parts in (
            (f"{FORM}\r\nc=d+e".encode(),),
            (f"{FORM}\r\nc=".encode(), b"d", b"+e"),
        ):
            said = await self.said(*parts)
            self.assertEqual(said, found)

    async def test_multipart(self) -> None:
        """A form of several parts, in chunks."""
        head = (
            b"POST /form HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        chunk = b"%x\r\n%b\r\n" % (len(MULTIPART), MULTIPART)
        said = await self.said(head, chunk, b"0\r\n\r\n")
        self.assertEqual(said, repr(({b"c": [b"d"]}, MULTIPART)))

    async def test_again(self) -> None:
        """Requests on one connection, with bodies and without."""
        for _ in range(2):
            self.client.send(
                b"PUT /form HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
            )
            self.client.request("GET", "/form")
            for body in (b"a", b""):
                said = (await self.client.reply()).body.decode()
                self.assertEqual(said, repr(({}, body)))

    async def test_failing(self) -> None:
        """A page that fails is 500, as in Twisted's site."""
        for length in (0, 1):
            self.client.send(
                b"PUT /form?fail=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
                % (length, b"a" * length)
            )
            self.assertEqual((await self.client.reply()).status, 500)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    async def begun(self) -> None:
        """A request for a page has begun, and its body is waited for."""
        self.client.send(
            b"PUT /form HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 200000\r\n\r\n"
        )
        self.assertEqual((await self.client.reply()).status, 100)

    async def test_large(self) -> None:
        """A body that is a file by then, for which the client was told to go on."""
        await self.begun()
        body = bytes(200_000)
        self.client.send(body)
        self.assertEqual((await self.client.reply()).body.decode(), repr(({}, body)))

    async def test_slow(self) -> None:
        """A body that does not come is 408, and the end of the connection."""
        await self.begun()
        self.time.clock.advance(61)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.header(b"Connection")), (408, b"close"))
        await self.client.end()

    async def test_left(self) -> None:
        """Nobody is answered where the client has left."""
        await self.begun()
        self.client.reset()
        other = await self.connect()
        other.request("GET", "/form")
        self.assertEqual((await other.reply()).status, 200)

    async def test_streaming(self) -> None:
        """A resource that streams has the request before its body."""
        request = await self.received(
            b"PUT /streaming/a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
        )
        self.assertEqual((request.args, request.content), ({}, None))
        self.assertIsNotNone(request_body(request))
        self.client.send(b"a")
        self.assertEqual(await read_body(request, 1), b"a")
        request.finish()
        await self.client.reply()


class Later(Page):
    """A page that has another one rendered, as a login does before it."""

    def render(self, request: Any) -> int:
        request.render(Page())
        return NOT_DONE_YET


class LaterTests(SiteTestCase):
    def make_site(self) -> Site:
        return StreamingSite(Later(), reactor=self.time)

    async def test_body(self) -> None:
        """The body is there for the other page, too."""
        self.client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
        self.assertEqual((await self.client.reply()).body.decode(), "({}, b'ab')")


class WrappedTests(SiteTestCase):
    def make_site(self) -> Site:
        return StreamingSite(Wrapped(), reactor=self.time)

    async def test_body(self) -> None:
        """What reads a body as it streams reads that of a page, too."""
        self.client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
        self.assertEqual((await self.client.reply()).body, b"ab")
