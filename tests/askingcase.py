"""Questions of our own to a scripted server, and how they end without an answer."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from regbroker.errors import UpstreamError
from tests.proxycase import HeldTime, SocketTestCase
from tests.scripted import ScriptedUpstream, response


class AskingTestCase(SocketTestCase):
    """`upstream` is asked; the time of those who ask stands still."""

    async def set_up(self) -> None:
        await super().set_up()
        self.time: Any = HeldTime()
        self.upstream = self.make_upstream()
        self.upstream.start()

    def make_upstream(self) -> ScriptedUpstream:
        """The server that is asked."""
        return ScriptedUpstream()

    async def tear_down(self) -> None:
        await self.upstream.stop()

    async def assert_broken_off(self, asking: Deferred[Any], beginning: bytes) -> None:
        """A question fails whose answer is cut off after this beginning."""
        call = await self.upstream.call()
        call.send(response(200, "Content-Length: 99", body=beginning))
        call.wire.close()
        await self.assertFailure(asking, UpstreamError)

    async def assert_cancelled(self, asking: Deferred[Any]) -> None:
        """A question that is cancelled ends its connection, and is not asked again."""
        call = await self.upstream.call()
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        await call.wire.end()
        self.assertEqual(len(self.upstream.calls), 1)
