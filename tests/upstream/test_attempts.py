"""How an attempt ends, and what that means for the circuit of an upstream."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import HTTPError, TooManyRequests, UpstreamUnavailable
from regbroker.upstream.attempts import Attempt
from regbroker.upstream.circuit_breaker import CircuitBreakers

DOWN = UpstreamUnavailable("it is down", headers=[(b"Retry-After", b"7")])
LIMIT = TooManyRequests("too much", headers=[(b"Retry-After", b"30")])


class AttemptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.circuits = CircuitBreakers(self.clock.seconds, 15.0)
        self.checks = 0
        self.check_error: BaseException | None = DOWN

    async def check(self) -> None:
        """The request of our own."""
        self.checks += 1
        if self.check_error is not None:
            raise self.check_error

    def attempt(self, account: str = "alice") -> Attempt:
        """An attempt that begins now."""
        self.clock.advance(0.001)
        return Attempt(
            "[upstream up]",
            self.circuits,
            account,
            self.check,
            cast(Any, self.clock),
            self.clock.seconds,
        )

    def logged(self, attempt: Attempt, failure: HTTPError, is_own: bool) -> list[Any]:
        """What is logged of a failure."""
        with capturedLogs() as events:
            attempt.failed(failure, is_own)
        return [formatEvent(event) for event in events]

    def test_failed(self) -> None:
        """A failure that our own request meets as well opens the circuit for all."""
        self.assertEqual(
            self.logged(self.attempt(), DOWN, is_own=False),
            ["[upstream up]: 503, it is down; resting for 7 s"],
        )
        self.assertEqual(self.checks, 1)
        self.assertFalse(self.circuits.may_ask("bob"))
        self.assertEqual(
            (self.circuits.trips, self.circuits.last_failure), (1, "it is down")
        )
        self.assertEqual(self.logged(self.attempt(), DOWN, is_own=False), [])

    def test_answers_to_us(self) -> None:
        """A failure that our own request does not meet opens nothing."""
        self.check_error = None
        self.assertEqual(self.logged(self.attempt(), DOWN, is_own=False), [])
        self.assertTrue(self.circuits.may_ask("alice"))
        self.assertEqual(self.circuits.trips, 0)

    def test_check_is_limited(self) -> None:
        """An upstream that limits our own request answers."""
        for error in (LIMIT, CancelledError()):
            self.check_error = error
            self.assertEqual(self.logged(self.attempt(), DOWN, is_own=False), [])
            self.assertTrue(self.circuits.may_ask("alice"))

    def test_check_fails(self) -> None:
        """What is wrong in our own request is logged, and opens nothing."""
        self.check_error = ValueError("a mistake")
        self.attempt().failed(DOWN)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertTrue(self.circuits.may_ask("alice"))

    def test_limit(self) -> None:
        """A limit is the account's that has met it, and is not checked."""
        for failure, is_own, account in (
            (LIMIT, False, "alice"),
            (DOWN, True, "carol"),
        ):
            (line,) = self.logged(self.attempt(account), failure, is_own)
            self.assertIn(failure.message, line)
            self.assertFalse(self.circuits.may_ask(account))
            self.assertTrue(self.circuits.may_ask("bob"))
        self.assertEqual(self.checks, 0)

    def test_answered(self) -> None:
        """An answer closes the circuit again, and is told once."""
        self.attempt().failed(DOWN)
        self.clock.advance(8)
        self.assertTrue(self.circuits.may_ask("bob"))
        with capturedLogs() as events:
            for _ in range(2):
                self.attempt().answered()
        self.assertEqual(
            [formatEvent(event) for event in events], ["[upstream up]: answers again"]
        )

    def test_abandoned(self) -> None:
        """A client that leaves lets another one try."""
        self.attempt().failed(DOWN)
        self.clock.advance(8)
        self.assertTrue(self.circuits.may_ask("bob"))
        attempt = self.attempt("bob")
        self.assertFalse(self.circuits.may_ask("carol"))
        attempt.abandoned()
        self.assertTrue(self.circuits.may_ask("carol"))
