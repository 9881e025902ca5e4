"""What our own requests to an upstream say, and which replies are answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.causes import Cause
from regbroker.errors import (
    TooManyRequests,
    UpstreamMalformed,
    UpstreamUnavailable,
)
from regbroker.protocol.header_list import ReceivedHeaders
from regbroker.protocol.headers import Header, came_from_here
from regbroker.protocol.names import parse_path
from regbroker.runtime.outcome import Outcome
from regbroker.transport.client.reply import Reply
from regbroker.upstream.own_requests import (
    OWN_HEADERS,
    USER_AGENT,
    ask_for_ourselves,
    check_answered,
    missing_upload,
    proof_target,
)
from tests.connectionscase import ConnectionsTestCase, replied


def reply(status: int, retry_after: bytes | None = None) -> Reply:
    """A reply of an upstream."""
    headers = [] if retry_after is None else [(b"Retry-After", retry_after)]
    return replied(status, ReceivedHeaders(headers))


class OwnRequestsTests(SynchronousTestCase):
    def test_headers(self) -> None:
        """They say who asks, and a request that comes back here is known by them."""
        self.assertIn(USER_AGENT, OWN_HEADERS)
        self.assertRegex(USER_AGENT[1], rb"\Aregbroker/[0-9]")
        values = [value for name, value in OWN_HEADERS if name.lower() == b"via"]
        self.assertEqual(len(values), 1)
        self.assertTrue(came_from_here(values))

    def test_answers(self) -> None:
        """Whatever an upstream says with a status below 500, but 429, is an answer."""
        for status in (200, 301, 401, 403, 404, 428, 430, 499):
            check_answered(reply(status))

    def test_limit(self) -> None:
        """429 is a limit, and says when to come again."""
        error = self.assertRaises(TooManyRequests, check_answered, reply(429, b"7"))
        self.assertEqual(error.header(b"Retry-After"), "7")
        self.assertIn("status 429", error.message)

    def test_unavailable(self) -> None:
        """500 and above are failures of the upstream."""
        for status in (500, 502, 503, 599):
            error = self.assertRaises(
                UpstreamUnavailable, check_answered, reply(status, b"9")
            )
            self.assertEqual(error.header(b"Retry-After"), "9")
            self.assertEqual(error.cause, Cause.UPSTREAM_FAILED)
            self.assertIn(f"status {status}", error.message)

    def test_targets(self) -> None:
        """Both are about the repository, by our own grammar."""
        self.assertEqual(proof_target("a/b"), "/v2/a/b/tags/list?n=1")
        self.assertTrue(missing_upload("a/b").startswith("/v2/a/b/blobs/uploads/"))
        for target in (proof_target("a/b"), missing_upload("a/b")):
            parsed: Any = parse_path(target.partition("?")[0])
            self.assertEqual(parsed.name, "a/b")


class AskTests(ConnectionsTestCase):
    def send(
        self, method: str, target: str, headers: Iterable[Header]
    ) -> Outcome[Reply]:
        """Send a request to the upstream."""
        return self.connections.request(method.encode(), target.encode(), headers)

    def ask_ourselves(
        self, method: str = "GET", target: str = "/x", **options: Any
    ) -> Deferred[tuple[Reply, str]]:
        """Ask the upstream for ourselves."""
        return Deferred.fromCoroutine(
            ask_for_ourselves(self.send, method, target, **options)
        )

    async def test_read(self) -> None:
        """It says who asks; the answer is read, and its connection is kept."""
        for authorization in (None, b"Basic x"):
            asking = self.ask_ourselves(authorization=authorization, max_bytes=9)
            call = await self.upstream.call()
            self.assertEqual((call.method, call.target), ("GET", "/x"))
            self.assertEqual(call.header(b"User-Agent"), USER_AGENT[1])
            self.assertEqual(call.header(b"Authorization"), authorization)
            call.reply(401, body=b"wrong\xff")
            reply, text = await asking
            self.assertEqual((reply.status, text), (401, "wrong\ufffd"))
        self.assertEqual(len(self.upstream.wires), 1)

    async def test_too_large(self) -> None:
        """An answer that is larger is none."""
        asking = self.ask_ourselves(max_bytes=3)
        (await self.upstream.call()).reply(200, body=b"long")
        await self.assertFailure(asking, UpstreamMalformed)

    async def test_not_read(self) -> None:
        """Where nobody wants the body, the connection ends with the headers."""
        asking = self.ask_ourselves("DELETE", "/x")
        call = await self.upstream.call()
        call.send(b"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n")
        reply, text = await asking
        self.assertEqual((call.method, reply.status, text), ("DELETE", 404, ""))
        await call.wire.end()

    async def test_no_answer(self) -> None:
        """An upstream that cannot answer now raises what says so."""
        for max_bytes in (0, 9):
            asking = self.ask_ourselves(max_bytes=max_bytes)
            (await self.upstream.call()).reply(503, "Retry-After: 5")
            error: Any = await self.assertFailure(asking, UpstreamUnavailable)
            self.assertEqual(error.header(b"Retry-After"), "5")
