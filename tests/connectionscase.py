"""Connections to an upstream that is played byte by byte."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import UNKNOWN_LENGTH
from zope.interface import implementer

from regbroker.protocol.header_list import NO_HEADERS, ReceivedHeaders
from regbroker.protocol.headers import NO_OPTIONS
from regbroker.protocol.origins import Origin
from regbroker.transport.client.pool import ConnectionPool
from regbroker.transport.client.reply import Reply
from regbroker.transport.client.request_writer import IStreamingBody
from regbroker.transport.client.slots import Slots
from regbroker.transport.client.trust import Trust
from tests.askingcase import AskingTestCase


def replied(
    status: int, headers: ReceivedHeaders = NO_HEADERS, body: bytes = b""
) -> Reply:
    """A server's reply that has come whole."""
    return Reply("the upstream registry", status, headers, NO_OPTIONS, len(body), body)


@implementer(IStreamingBody)
class BodyByHand:
    """A request's body that the test writes; `started` is when it may."""

    moved = 0.0

    def __init__(self, length: Any = UNKNOWN_LENGTH) -> None:
        self.length = length
        self.asked: list[str] = []
        self.started: Deferred[IConsumer] = Deferred()
        self.stopped: Deferred[None] = Deferred()
        self.paused: Deferred[None] = Deferred()
        self.done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self.started.callback(consumer)
        return self.done

    def upstream_continues(self) -> None:
        self.asked.append("continue")

    def why_stalled(self, seconds: float) -> Exception:
        return ValueError(f"for {seconds:g} s")

    def pauseProducing(self) -> None:
        self.asked.append("pause")
        if not self.paused.called:
            self.paused.callback(None)

    def resumeProducing(self) -> None:
        self.asked.append("resume")

    def stopProducing(self) -> None:
        self.asked.append("stop")
        if not self.stopped.called:
            self.stopped.callback(None)


class ConnectionsTestCase(AskingTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.connections = self.to(self.upstream.port)

    def to(
        self, port: int, scheme: str = "http", slots: Slots | None = None
    ) -> ConnectionPool:
        """Connections to this port."""
        origin = Origin(scheme, "127.0.0.1", port)
        endpoint = Trust().endpoint(self.reactor, origin, 5)
        return ConnectionPool(self.time, origin, endpoint, 5, slots=slots)

    async def tear_down(self) -> None:
        self.connections.close()
        self.assertEqual(self.time.clock.getDelayedCalls(), [])
        await super().tear_down()

    def ask(
        self,
        method: bytes = b"GET",
        body: Any = None,
        target: bytes = b"/x",
    ) -> Deferred[Reply]:
        """Send a request."""
        headers = [(b"A", b"1"), (b"a", b"2")]
        asking = self.connections.request(method, target, headers, body)
        return asking.deferred()

    async def asked(self, answer: bytes, method: bytes = b"GET") -> Reply:
        """Send a request without a body, and have it answered."""
        asking = self.ask(method)
        (await self.upstream.call()).answer(answer)
        return await asking

    async def uploading(self, length: Any = UNKNOWN_LENGTH) -> Any:
        """Begin an upload: the request, as both sides have it, and its body."""
        body = BodyByHand(length)
        asking = self.ask(b"PUT", body)
        consumer = await body.started
        return asking, await self.upstream.call(), body, consumer
