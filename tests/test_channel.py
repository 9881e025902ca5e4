"""The site for those who embed: requests come before their bodies."""

from __future__ import annotations

from regbroker.channel import StreamingRequest, StreamingSite
from regbroker.transport.server import site as server
from regbroker.transport.server import streaming_request
from regbroker.transport.server.body_reading import read_body
from regbroker.transport.server.replies import send_bytes
from tests.proxycase import SiteTestCase


class ChannelTests(SiteTestCase):
    def make_site(self) -> StreamingSite:
        return StreamingSite(self.resource, reactor=self.time)

    async def test_streaming(self) -> None:
        """A resource has the request, of the public class, when its headers are in."""
        request = await self.received(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo"
        )
        self.assertIsInstance(request, StreamingRequest)
        body = read_body(request, 4)
        self.assertNoResult(body)
        self.client.send(b"dy")
        self.assertEqual(await body, b"body")
        send_bytes(request, 200, b"text/plain", b"done")
        self.assertEqual((await self.client.reply()).body, b"done")

    def test_same(self) -> None:
        """The public names are those of the implementation."""
        self.assertIs(StreamingSite, server.StreamingSite)
        self.assertIs(StreamingRequest, streaming_request.StreamingRequest)
