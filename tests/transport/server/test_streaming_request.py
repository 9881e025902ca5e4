"""Requests that are there with their headers, and their bodies."""

from __future__ import annotations

from regbroker.transport.server.body_reading import read_body
from regbroker.transport.server.request_bodies import ClientGone
from tests.channelcase import GET, POST, ChannelTestCase, answer


class BodyTests(ChannelTestCase):
    async def test_processed_with_headers(self) -> None:
        """A request is handed over before any of its body has arrived."""
        request = await self.received(POST, b"Content-Length: 5\r\n\r\n")
        self.assertEqual(request.body.length, 5)
        self.assertIsNone(request.content)
        body = read_body(request, 10)
        self.client.send(b"hello")
        self.assertEqual(await body, b"hello")

    async def test_chunked(self) -> None:
        """Chunks, extensions and trailers included, are one body."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        body = read_body(request, 100)
        self.client.send(b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-After: 1\r\n\r\n")
        self.assertEqual(await body, b"abcde")
        answer(request)
        self.assertEqual((await self.client.reply()).status, 200)
        await self.assert_still_good()

    async def test_target_is_kept(self) -> None:
        """The target stays as it was sent; nothing of it is parsed here."""
        request = await self.received(b"GET /a%2f/../b?c=%20d HTTP/1.1\r\n\r\n")
        self.assertEqual(request.uri, b"/a%2f/../b?c=%20d")
        self.assertEqual((request.path, request.args), (b"/a%2f/../b", {}))

    async def test_target_is_a_url(self) -> None:
        """Of a whole URL the host counts, and not the Host header."""
        for target, host, uri in (
            (b"http://b.test/v2/a%2f/../b?c=%20d", b"b.test", b"/v2/a%2f/../b?c=%20d"),
            (b"HTTPS://b.test:5000/", b"b.test:5000", b"/"),
            (b"http://b.test", b"b.test", b"/"),
            (b"http://b.test?x=/y", b"b.test", b"?x=/y"),
        ):
            request = await self.received(b"GET " + target + GET[5:] + b"\r\n")
            self.assertEqual(request.requestHeaders.getRawHeaders(b"Host"), [host])
            self.assertEqual(request.headers.all(b"host"), [host])
            self.assertEqual(request.uri, uri)
            answer(request)
            self.assertEqual((await self.client.reply()).status, 200)

    async def test_target_is_everything(self) -> None:
        """``*`` is a target like any other, and answered as one."""
        for method in (b"OPTIONS", b"GET"):
            request = await self.received(method + b" *" + GET[5:] + b"\r\n")
            self.assertEqual(request.path, b"/*")
            answer(request)
            self.assertEqual((await self.client.reply()).body, b"so be it")

    async def test_continue(self) -> None:
        """100 is sent when somebody reads the body, and not earlier."""
        request = await self.received(
            POST, b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        self.assertFalse(request.requestHeaders.hasHeader("Expect"))
        await self.turn()
        self.assertEqual(bytes(self.client.seen), b"")
        body = read_body(request, 10)
        self.assertEqual((await self.client.reply()).status, 100)
        self.client.send(b"ok")
        self.assertEqual(await body, b"ok")
        answer(request)
        self.assertEqual((await self.client.reply()).status, 200)
        await self.assert_still_good()

    async def test_no_continue_for_old_http(self) -> None:
        """A client of HTTP/1.0 knows no 100: it would take it for the reply."""
        request = await self.received(
            POST.replace(b"1.1", b"1.0"),
            b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        )
        self.assertFalse(request.requestHeaders.hasHeader("Expect"))
        self.assertFalse(request.body.expects_continue)
        body = read_body(request, 10)
        self.client.send(b"ok")
        self.assertEqual(await body, b"ok")
        answer(request)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.body), (200, b"so be it"))

    async def test_client_goes_away(self) -> None:
        """Who reads a body is told that the rest will not come."""
        request = await self.received(POST, b"Content-Length: 5\r\n\r\nab")
        body = read_body(request, 10)
        gone = request.notifyFinish()
        self.assertFalse(request.is_gone)
        self.client.close()
        await self.assertFailure(body, ClientGone)
        with self.assertRaises(Exception):  # noqa: B017
            await gone
        self.assertTrue(request.is_gone)
        # What is written to nobody is lost, and is not to be taken for a reply.
        self.assertRaises(RuntimeError, answer, request)

    async def test_broken_chunk(self) -> None:
        """A body that stops being HTTP fails its reader, and the connection ends."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        body = read_body(request, 100)
        self.client.send(b"3\r\nabc\r\nnonsense\r\n")
        await self.assert_refused(400, "UNSUPPORTED")
        with self.assertRaises(Exception):  # noqa: B017
            await body

    async def test_broken_chunk_after_reply_began(self) -> None:
        """Nothing that looks like a reply is written into another one."""
        request = await self.received(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        request.write(b"begun")
        self.client.send(b"nonsense\r\n")
        rest = await self.client.end()
        self.assertEqual(rest.count(b"HTTP/1.1"), 1)
        self.assertFalse(self.client.closed_in_order)


class TwistedFormTests(ChannelTestCase):
    """What `twisted.web` has of a request is there for resources of other programs."""

    #: One that is read whole, and one that is read line by line.
    REQUESTS = (
        GET + b"A: b\r\na: c\r\nCookie: d=e; f=g\r\n\r\n",
        b"\r\n" + GET + b"A: b\r\na: c\r\nCookie: d=e; f=g\r\n\r\n",
    )

    async def test_request(self) -> None:
        """Its headers and cookies."""
        for raw in self.REQUESTS:
            request = await self.received(raw)
            self.assertEqual(request.requestHeaders.getRawHeaders("a"), ["b", "c"])
            self.assertEqual(request.getHeader(b"A"), b"c")
            self.assertEqual(request.getCookie(b"d"), b"e")
            self.assertEqual(request.received_cookies, {b"d": b"e", b"f": b"g"})
            self.assertEqual(request.headers.all(b"a"), [b"b", b"c"])
            answer(request)
            await self.client.reply()
