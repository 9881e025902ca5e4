"""Replies of requests: heads and bodies as they are on the wire."""

from __future__ import annotations

from regbroker.protocol.header_list import HeaderList
from regbroker.transport.server.replies import set_request_id
from tests.channelcase import GET, ChannelTestCase, answer


class ReplyTests(ChannelTestCase):
    """A reply that is begun with its head."""

    async def test_chunks(self) -> None:
        """Without a length the body goes in chunks, and the connection goes on."""
        request = await self.received(GET + b"\r\n")
        request.begin(200, [(b"X-A", b"1")])
        self.assertEqual(bytes(self.client.seen), b"")
        request.write(b"so ")
        request.write(b"be it")
        ended = request.notifyFinish()
        request.finish()
        await ended
        reply = await self.client.reply()
        self.assertEqual(reply.header(b"Transfer-Encoding"), b"chunked")
        self.assertEqual((reply.header(b"X-A"), reply.body), (b"1", b"so be it"))
        await self.assert_still_good()

    async def test_length(self) -> None:
        """With one it goes as it is."""
        request = await self.received(GET + b"\r\n")
        request.begin(200, [(b"content-length", b"8")])
        for part in b"so ", b"be it":
            request.write(part)
        request.finish()
        reply = await self.client.reply()
        self.assertIsNone(reply.header(b"Transfer-Encoding"))
        self.assertEqual(reply.body, b"so be it")
        await self.assert_still_good()

    async def test_old_client(self) -> None:
        """HTTP/1.0 knows no chunks: the body ends with the connection."""
        request = await self.received(GET.replace(b"1.1", b"1.0") + b"\r\n")
        request.begin(200, [])
        request.write(b"so be it")
        request.finish()
        head, _, body = (await self.client.end()).partition(b"\r\n\r\n")
        self.assertIn(b"\r\nConnection: close", head)
        self.assertNotIn(b"Transfer-Encoding", head)
        self.assertEqual(body, b"so be it")

    async def test_no_body(self) -> None:
        """The reply to HEAD, and statuses that have none, end with their head."""
        for method, status in ((b"HEAD", 200), (b"GET", 204), (b"GET", 304)):
            request = await self.received(GET.replace(b"GET", method) + b"\r\n")
            request.begin(status, [(b"X-A", b"1")])
            request.write(b"so ")
            request.write(b"be it")
            request.finish()
            raw = await self.client.until(b"\r\n\r\n")
            self.assertTrue(raw.startswith(b"HTTP/1.1 %d " % status), raw)
            self.assertIn(b"\r\nX-A: 1\r\n", raw)
            self.assertNotIn(b"Transfer-Encoding", raw)
            await self.assert_still_good()

    async def test_whole(self) -> None:
        """A whole reply; with a type, its headers say nothing of the body."""
        said = [(b"X-A", b"1"), (b"Content-Type", b"a/b"), (b"Content-Length", b"8")]
        for content_type, expected in ((None, b"a/b"), (b"c/d", b"c/d")):
            request = await self.received(GET + b"\r\n")
            request.send(200, said, b"so be it", content_type)
            reply = await self.client.reply()
            self.assertEqual(reply.header(b"Content-Type"), expected)
            self.assertEqual(reply.header(b"Content-Length"), b"8")
            self.assertEqual((reply.header(b"X-A"), reply.body), (b"1", b"so be it"))

    async def test_close(self) -> None:
        """A reply may say that the connection ends with it, and it does."""
        request = await self.received(GET + b"\r\n")
        request.send(200, [(b"connection", b"Close")], b"so be it", b"a/b")
        reply = await self.client.reply()
        self.assertEqual(reply.all(b"Connection"), [b"close"])
        await self.client.end()


class TwistedFormTests(ChannelTestCase):
    """What is set in Twisted's way is in the reply, however that is sent."""

    #: One that is read whole, and one that is read line by line.
    REQUESTS = (GET + b"\r\n", b"\r\n" + GET + b"\r\n")

    async def test_reply(self) -> None:
        """Headers and cookies of a reply that is written in Twisted's way."""
        for raw in self.REQUESTS:
            request = await self.received(raw)
            request.addCookie("h", "i")
            request.responseHeaders.addRawHeader("J", "k")
            request.write(b"so be it")
            request.finish()
            reply = await self.client.reply()
            self.assertEqual(reply.header(b"Set-Cookie"), b"h=i")
            self.assertEqual(reply.header(b"J"), b"k")
            self.assertEqual(reply.body, b"so be it")

    async def test_set_before(self) -> None:
        """A header that is set has the last value, whoever sets it, and however."""
        for whole in (True, False):
            request = await self.received(self.REQUESTS[0])
            request.setHeader(b"X-A", b"1")
            request.setHeader(b"x-a", b"2")
            self.assertEqual(request.reply_header(b"X-A"), b"2")
            self.assertIsNone(request.reply_header(b"X-B"))
            request.setHeader("X-B", "3")
            request.setHeader(b"X-B", b"4")
            request.responseHeaders.addRawHeader(b"X-C", b"5")
            self.assertEqual(request.reply_header(b"X-B"), b"4")
            if whole:
                answer(request)
            else:
                request.finish()
            reply = HeaderList((await self.client.reply()).headers)
            for name, value in (b"x-a", b"2"), (b"x-b", b"4"), (b"x-c", b"5"):
                self.assertEqual(reply.all(name), [value], name)

    async def test_request_id(self) -> None:
        """The id of a request is in its reply once: the last, however that is sent."""
        for is_made in (False, True):
            for whole in (True, False):
                request = await self.received(self.REQUESTS[0])
                set_request_id(request, "first")
                if is_made:
                    request.responseHeaders.addRawHeader(b"X-C", b"5")
                set_request_id(request, "last")
                if whole:
                    answer(request)
                else:
                    request.finish()
                reply = HeaderList((await self.client.reply()).headers)
                self.assertEqual(reply.all(b"x-request-id"), [b"last"])
                self.assertEqual(reply.all(b"x-c"), [b"5"] if is_made else [])
