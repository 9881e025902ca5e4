"""What regbroker says itself, byte for byte."""

from twisted.web.server import Site

from regbroker.errors import MethodNotAllowed, UpstreamRefused
from regbroker.protocol.header_list import HeaderList
from regbroker.transport.server.replies import (
    reply_header,
    send_error,
    send_head,
    send_json,
    send_whole,
    set_status,
)
from tests.proxycase import SiteTestCase

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class ReplyTests(SiteTestCase):
    async def test_json(self) -> None:
        """A document with its length, and the header that every reply has."""
        send_json(await self.received(GET), {"a": "\u00e9"}, 202)
        reply = await self.client.reply()
        self.assertEqual(reply.line, b"HTTP/1.1 202 Accepted")
        self.assertEqual(reply.json(), {"a": "\u00e9"})
        self.assertEqual(reply.header(b"Content-Type"), b"application/json")
        self.assertEqual(
            reply.header(b"Docker-Distribution-Api-Version"), b"registry/2.0"
        )
        self.assertEqual(reply.header(b"Server"), b"regbroker")

    async def test_head(self) -> None:
        """HEAD has the length of what GET would have brought, and no body."""
        send_json(await self.received(GET.replace(b"GET", b"HEAD")), {"a": 1})
        reply = await self.client.reply("HEAD")
        self.assertEqual(reply.header(b"Content-Length"), b"9")
        send_json(await self.received(GET), {})
        self.assertEqual((await self.client.reply()).json(), {})

    async def test_error(self) -> None:
        """An error brings its status, its code, its headers."""
        error = MethodNotAllowed("not that", headers=[(b"Allow", b"GET")])
        send_error(await self.received(GET), error)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (405, "UNSUPPORTED"))
        self.assertEqual(reply.header(b"Allow"), b"GET")

    async def test_upstream_refusal(self) -> None:
        """What the upstream has said is said in its words."""
        error = UpstreamRefused(429, b"{}", [(b"Retry-After", b"5")])
        send_error(await self.received(GET), error)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.body), (429, b"{}"))
        self.assertEqual(reply.header(b"Retry-After"), b"5")

    async def test_list(self) -> None:
        """A list of headers is sent in its order, with those of every reply."""
        headers = HeaderList(
            [(b"Link", b"a"), (b"Content-Length", b"2"), (b"Link", b"b")]
        )
        send_whole(await self.received(GET), 200, headers, b"ab")
        reply = await self.client.reply()
        self.assertEqual(reply.all(b"Link"), [b"a", b"b"])
        self.assertEqual(reply.body, b"ab")
        self.assertEqual(reply.header(b"Server"), b"regbroker")

    async def test_header_of_a_reply(self) -> None:
        """What a reply says is known for the log, however it was begun."""
        request = await self.received(GET)
        self.assertIsNone(reply_header(request, b"Docker-Content-Digest"))
        request.responseHeaders.setRawHeaders(b"X-One", [b"a", b"b"])
        self.assertEqual(reply_header(request, b"x-one"), b"a")
        send_head(request, 201, HeaderList([(b"Docker-Content-Digest", b"sha256:a")]))
        self.assertEqual(reply_header(request, b"docker-content-digest"), b"sha256:a")
        request.finish()
        await self.client.reply()

    async def test_head_first(self) -> None:
        """A body may follow its head in pieces."""
        request = await self.received(GET)
        send_head(request, 201, HeaderList([(b"Content-Length", b"2")]))
        request.write(b"a")
        request.write(b"b")
        request.finish()
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.body), (201, b"ab"))

    async def test_unknown_status(self) -> None:
        """A status that nobody knows has no reason, and no type is made up."""
        request = await self.received(GET)
        set_status(request, 799)
        request.finish()
        reply = await self.client.reply()
        self.assertEqual(reply.line, b"HTTP/1.1 799 ")
        self.assertIsNone(reply.header(b"Content-Type"))


class OtherSiteTests(SiteTestCase):
    def make_site(self) -> Site:
        """A site of another program."""
        return Site(self.resource, reactor=self.time)

    async def test_list(self) -> None:
        """What is to be sent is sent there, too, but for what every reply carries."""
        headers = HeaderList(
            [(b"Link", b"a"), (b"Content-Length", b"2"), (b"Link", b"b")]
        )
        send_whole(await self.received(GET), 404, headers, b"ab")
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.body), (404, b"ab"))
        self.assertEqual(reply.all(b"Link"), [b"a", b"b"])
        self.assertEqual(reply.header(b"Server"), b"regbroker")

    async def test_error(self) -> None:
        """An error brings its headers there, too."""
        error = MethodNotAllowed("not that", headers=[(b"Allow", b"GET")])
        send_error(await self.received(GET), error)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (405, "UNSUPPORTED"))
        self.assertEqual(reply.header(b"Allow"), b"GET")
