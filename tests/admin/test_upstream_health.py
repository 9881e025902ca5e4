"""Whether an upstream answers: what requests tell, and pings where they do not."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin.upstream_health import FRESH_SECONDS, UpstreamHealth
from regbroker.causes import Cause
from regbroker.errors import TooManyRequests, UpstreamUnavailable
from regbroker.events import Event


class Pinged:
    """An upstream that answers pings as the test says."""

    def __init__(self) -> None:
        self.discovered: object | None = None
        self.pinged_at = -1.0
        self.error: Exception | None = None
        self.pings = 0

    async def check(self) -> None:
        """Answer a ping."""
        self.pings += 1
        if self.error is not None:
            raise self.error


class HealthTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.upstream = Pinged()
        self.health = UpstreamHealth(
            cast(Any, self.upstream), self.clock, lambda: 5e8 + self.clock.seconds()
        )

    def check(self) -> bool:
        """What a check finds."""
        return self.successResultOf(Deferred.fromCoroutine(self.health.check()))

    def request(self, cause: Cause = Cause.DONE, status: int = 200) -> None:
        """A client's request to the upstream ends."""
        event = Event(self.clock.seconds, upstream_seconds=0.1, status=status)
        event.ended(cause, f"because of {cause.value}")
        self.health.note(event)

    def test_before_anybody_has_asked(self) -> None:
        """Before the first check it answers if it was discovered."""
        self.assertFalse(self.health.answers)
        self.upstream.discovered = object()
        self.assertTrue(self.health.answers)

    def test_ping(self) -> None:
        """It is asked when nobody has heard of it lately, and not again at once."""
        self.assertTrue(self.check())
        self.assertTrue(self.check())
        self.assertEqual(self.upstream.pings, 1)
        self.clock.advance(FRESH_SECONDS)
        self.assertTrue(self.check())
        self.assertEqual(self.upstream.pings, 2)

    def test_down(self) -> None:
        """One that fails at the ping does not answer; why is kept."""
        self.upstream.error = UpstreamUnavailable("no connection")
        self.assertFalse(self.check())
        self.assertFalse(self.health.answers)
        self.assertEqual(self.health.last_error, "no connection")
        self.assertEqual(self.health.last_error_at, 5e8 + 1000)

    def test_back(self) -> None:
        """One that did not answer is asked each time, so that it is back at once."""
        self.upstream.error = UpstreamUnavailable("no connection")
        self.assertFalse(self.check())
        self.upstream.error = None
        self.assertTrue(self.check())
        self.assertTrue(self.health.answers)

    def test_back_by_request(self) -> None:
        """So does a client's request that it answers."""
        self.upstream.error = UpstreamUnavailable("no connection")
        self.assertFalse(self.check())
        self.request()
        self.assertTrue(self.health.answers)
        self.assertTrue(self.check())
        self.assertEqual(self.upstream.pings, 1)

    def test_back_by_ping(self) -> None:
        """So does a ping of somebody else, such as discovery in the background."""
        self.upstream.error = UpstreamUnavailable("no connection")
        self.assertFalse(self.check())
        self.clock.advance(0.1)
        self.upstream.pinged_at = self.clock.seconds()
        self.assertTrue(self.health.answers)

    def test_limit(self) -> None:
        """A limit is an answer."""
        self.upstream.error = TooManyRequests("slowly")
        self.assertTrue(self.check())

    def test_requests_that_end_well(self) -> None:
        """Clients' requests spare pings; an error that it has answered, too."""
        for status in (200, 404):
            self.request(status=status)
            self.assertTrue(self.check())
        self.assertEqual(self.upstream.pings, 0)

    def test_requests_that_fail(self) -> None:
        """After one that failed it is asked at once: it may be this request alone."""
        self.check()
        self.request(Cause.UPSTREAM_UNREACHABLE, 503)
        self.assertEqual(self.health.last_error, "because of upstream-unreachable")
        self.assertTrue(self.check())
        self.assertEqual(self.upstream.pings, 2)

    def test_other_failures(self) -> None:
        """What is wrong otherwise is kept, and says nothing of whether it answers."""
        self.check()
        self.request(Cause.TOKENS_FAILED, 503)
        self.assertEqual(self.health.last_error, "because of tokens-failed")
        self.assertTrue(self.check())
        self.assertEqual(self.upstream.pings, 1)

    def test_clients_failures(self) -> None:
        """What a client does is nothing of the upstream's."""
        self.request(Cause.CLIENT_LEFT, 0)
        self.assertEqual(self.health.last_error, "")
        self.assertFalse(self.health.is_fresh)
