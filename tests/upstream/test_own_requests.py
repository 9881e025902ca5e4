"""What our own requests to an upstream say, and which replies are answers."""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regbroker.causes import Cause
from regbroker.errors import TooManyRequests, UpstreamUnavailable
from regbroker.protocol.headers import came_from_here
from regbroker.protocol.names import parse_path
from regbroker.transport.client_reply import Reply
from regbroker.upstream.own_requests import (
    OWN_HEADERS,
    USER_AGENT,
    check_answered,
    missing_upload,
    proof_target,
)


class AnyResponse:
    """The head of a reply."""

    length = 0
    connHeaders = Headers()

    def __init__(self, status: int, retry_after: bytes | None) -> None:
        self.code = status
        self.headers = Headers()
        if retry_after is not None:
            self.headers.addRawHeader(b"Retry-After", retry_after)


def reply(status: int, retry_after: bytes | None = None) -> Reply:
    """A reply of an upstream."""
    response: Any = AnyResponse(status, retry_after)
    return Reply(response, cast(Any, None), response, "the upstream registry")


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
