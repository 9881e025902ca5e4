"""Search services on the wire."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred

from regbroker.errors import UpstreamTimeout
from regbroker.transport.client.trust import Trust
from regbroker.upstream.documents import Document
from regbroker.upstream.search_service import SEARCH_SECONDS, SearchService
from tests.proxycase import HeldTime, SocketTestCase
from tests.scripted import ScriptedUpstream


class SearchServiceTests(SocketTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.time: Any = HeldTime()
        self.index = ScriptedUpstream()
        self.index.start()
        self.service = SearchService(
            f"{self.index.url}/v1", Trust(), 5, cast(Any, self.time)
        )

    async def tear_down(self) -> None:
        self.service.close()
        await self.index.stop()

    def search(self, query: str = "q=a") -> Deferred[Document]:
        """Search."""
        return Deferred.fromCoroutine(self.service.search(query))

    async def test_targets(self) -> None:
        """The query byte for byte, and the ping."""
        for ask, target in (
            (lambda: self.search("q=a%2Fb%20c&n=5"), "/v1/search?q=a%2Fb%20c&n=5"),
            (lambda: Deferred.fromCoroutine(self.service.ping()), "/v1/_ping"),
        ):
            asking = ask()
            call = await self.index.call()
            self.assertEqual(call.target, target)
            call.reply(404, body=b"none")
            document = await asking
            self.assertEqual((document.status, document.body), (404, b"none"))

    async def test_shared(self) -> None:
        """One answer for all who ask the same at once; one may leave."""
        first, second, third = self.search(), self.search(), self.search("q=b")
        calls = {call.target: call for call in [await self.index.call() for _ in "ab"]}
        first.cancel()
        await self.assertFailure(first, CancelledError)
        calls["/v1/search?q=a"].reply(200, body=b"a")
        calls["/v1/search?q=b"].reply(200, body=b"b")
        self.assertEqual((await second).body, b"a")
        self.assertEqual((await third).body, b"b")
        self.assertEqual(len(self.index.calls), 2)

    async def test_timeout(self) -> None:
        """It is waited for so long, and the connection ends."""
        asking = self.search()
        call = await self.index.call()
        self.time.clock.advance(SEARCH_SECONDS - 0.1)
        self.assertFalse(asking.called)
        self.time.clock.advance(0.2)
        await self.assertFailure(asking, UpstreamTimeout)
        await call.wire.end()

    async def test_closed(self) -> None:
        """What is under way when it is closed, ends."""
        asking = self.search()
        call = await self.index.call()
        self.service.close()
        await self.assertFailure(asking, CancelledError)
        await call.wire.end()
