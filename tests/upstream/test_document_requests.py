"""One document, asked for over given connections."""

from __future__ import annotations

import gzip

from twisted.internet.defer import CancelledError, Deferred
from twisted.web.http_headers import Headers

from regbroker.errors import UpstreamMalformed
from regbroker.protocol.origins import Origin
from regbroker.transport.client.pool import ConnectionPool
from regbroker.transport.client.trust import Trust
from regbroker.upstream.document_requests import request_document
from regbroker.upstream.origin_pools import OriginPools
from tests.askingcase import AskingTestCase

MAX_BYTES = 100


class DocumentRequestTests(AskingTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.pools = OriginPools(self.pool, 1)

    async def tear_down(self) -> None:
        self.pools.close()
        await super().tear_down()

    def pool(self, origin: Origin) -> ConnectionPool:
        """The connections to the server."""
        endpoint = Trust().endpoint(self.time, origin, 5)
        return ConnectionPool(self.time, origin, endpoint, 5)

    def ask(self, form: bytes | None = None) -> Deferred[tuple[int, Headers, bytes]]:
        """Ask for a document."""
        return Deferred.fromCoroutine(
            request_document(
                self.pools,
                "the oracle",
                MAX_BYTES,
                "GET" if form is None else "POST",
                f"{self.upstream.url}/x",
                {b"X-A": [b"1"]},
                form,
            )
        )

    async def test_answer(self) -> None:
        """Status, headers and body come back, and no cookie is kept."""
        for form in (b"a=b", None):
            asking = self.ask(form)
            call = await self.upstream.call()
            self.assertEqual(call.header(b"X-A"), b"1")
            self.assertIsNone(call.header(b"Cookie"))
            self.assertEqual(await call.body(), form or b"")
            call.reply(302, "Location: /y", "Set-Cookie: a=1", body=b"{}")
            status, headers, body = await asking
            self.assertEqual((status, body), (302, b"{}"))
            self.assertEqual(headers.getRawHeaders(b"Location"), [b"/y"])

    async def test_bounds(self) -> None:
        """A body may be as long as is agreed, packed and unpacked, and no longer."""
        for body, lines in (
            (bytes(MAX_BYTES + 1), ()),
            (gzip.compress(bytes(MAX_BYTES + 1)), ("Content-Encoding: gzip",)),
        ):
            asking = self.ask()
            (await self.upstream.call()).reply(200, *lines, body=body)
            await self.assertFailure(asking, UpstreamMalformed)
        asking = self.ask()
        packed = gzip.compress(bytes(MAX_BYTES))
        call = await self.upstream.call()
        call.reply(200, "Content-Encoding: gzip", body=packed)
        self.assertEqual((await asking)[2], bytes(MAX_BYTES))

    async def test_hangs_up(self) -> None:
        """The rest of a body that nobody wants is not waited for."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"
        asking = self.ask()
        call = await self.upstream.call()
        call.send(head + bytes(MAX_BYTES + 1))
        await self.assertFailure(asking, UpstreamMalformed)
        await call.wire.end()
        asking = self.ask()
        call = await self.upstream.call()
        call.send(head + b"x")
        for _ in range(20):
            await self.turn()
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        await call.wire.end()
