"""When an upstream that has failed is asked again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.upstream.circuit_breaker import (
    FIRST_PAUSE_SECONDS,
    LAST_PAUSE_SECONDS,
    LONGEST_OPEN_SECONDS,
    MAX_LIMITED,
    CircuitBreaker,
    CircuitBreakers,
)

TRIAL = 5.0


class CircuitTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.circuit = CircuitBreaker(lambda: self.now, TRIAL)

    def fail_once(
        self, retry_after: float | None = None, status: int = 503
    ) -> float | None:
        """A request is made, and fails a moment later."""
        started = self.now
        self.now += 0.25
        return self.circuit.failed(status, retry_after, started)

    def wait(self) -> None:
        """Let the rest be over, and one request find out."""
        self.now += self.circuit.open_seconds
        self.assertTrue(self.circuit.may_ask())


class CircuitTests(CircuitTestCase):
    def test_well(self) -> None:
        """One that has not failed may always be asked, by everybody."""
        self.assertTrue(self.circuit.may_ask() and self.circuit.may_ask())
        self.assertEqual((self.circuit.open_seconds, self.circuit.status), (0.0, 0))
        self.assertFalse(self.circuit.succeeded(self.now))

    def test_states(self) -> None:
        """Closed, open while it rests, half-open when one may try; closed again."""
        states = [self.circuit.state]
        self.fail_once()
        states.append(self.circuit.state)
        self.now += self.circuit.open_seconds
        states.append(self.circuit.state)
        self.assertTrue(self.circuit.may_ask())
        states.append(self.circuit.state)
        self.circuit.succeeded(self.now)
        states.append(self.circuit.state)
        self.assertEqual(states, ["closed", "open", "half-open", "half-open", "closed"])

    def test_pauses(self) -> None:
        """They double, up to a minute; an answer begins anew."""
        pauses = []
        for _ in range(8):
            pauses.append(self.fail_once())
            self.wait()
        self.assertEqual(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0])
        self.assertEqual(pauses[-1], LAST_PAUSE_SECONDS)
        self.assertTrue(self.circuit.succeeded(self.now))
        self.assertEqual(self.fail_once(), FIRST_PAUSE_SECONDS)

    def test_many_see_one_failure(self) -> None:
        """Requests that were under way do not make the pause longer."""
        started = self.now
        self.assertEqual(self.fail_once(), FIRST_PAUSE_SECONDS)
        for _ in range(20):
            self.assertIsNone(self.circuit.failed(503, None, started))
        self.assertIsNone(self.circuit.failed(503, 30.0, started))
        self.assertEqual(self.circuit.open_seconds, FIRST_PAUSE_SECONDS)
        self.wait()
        self.assertIsNone(self.circuit.failed(503, None, started))
        self.assertEqual(self.fail_once(), 2 * FIRST_PAUSE_SECONDS)

    def test_asked_in_spite(self) -> None:
        """One that is asked too early, and fails, does not rest longer for it."""
        self.fail_once()
        self.assertIsNone(self.fail_once())

    def test_late_answers(self) -> None:
        """An answer to what was asked before the failure ends nothing."""
        started = self.now
        self.fail_once()
        self.assertFalse(self.circuit.succeeded(started))
        self.assertFalse(self.circuit.may_ask())
        self.now += 0.25
        self.assertTrue(self.circuit.succeeded(self.now))

    def test_late_failures(self) -> None:
        """A failure of what was asked before an answer is no news."""
        self.circuit.succeeded(self.now + 1)
        self.assertIsNone(self.circuit.failed(503, None, self.now))
        self.assertEqual(self.circuit.failed(503, None, self.now + 1), 1.0)

    def test_told(self) -> None:
        """What the upstream says counts, within bounds."""
        self.assertEqual(self.fail_once(30.0, 429), 30.0)
        self.assertEqual((self.circuit.status, self.circuit.has_told_when), (429, True))
        self.now += 10
        self.assertEqual(self.circuit.open_seconds, 20.0)
        self.wait()
        self.assertEqual(self.fail_once(0.0), FIRST_PAUSE_SECONDS)
        self.wait()
        self.assertEqual(self.fail_once(1e9), LONGEST_OPEN_SECONDS)

    def test_trial(self) -> None:
        """After the rest one may ask; the next one when that takes too long."""
        self.fail_once()
        self.assertFalse(self.circuit.may_ask())
        self.now += FIRST_PAUSE_SECONDS
        self.assertTrue(self.circuit.may_ask())
        self.assertFalse(self.circuit.may_ask())
        self.now += TRIAL
        self.assertTrue(self.circuit.may_ask())
        self.assertTrue(self.circuit.succeeded(self.now))
        self.assertTrue(self.circuit.may_ask() and self.circuit.may_ask())


class RestsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.circuits = CircuitBreakers(lambda: self.now, TRIAL)

    def fail_once(
        self, who: str, status: int, retry_after: float | None = None
    ) -> None:
        """A request of somebody fails a moment later."""
        started = self.now
        self.now += 0.25
        self.circuits.failed(who, status, retry_after, started)

    def test_failure(self) -> None:
        """A failure is everybody's, and so is its end."""
        self.fail_once("alice", 503)
        self.assertFalse(self.circuits.may_ask("alice") or self.circuits.may_ask(""))
        self.assertEqual(self.circuits.current("bob").status, 503)
        self.now += FIRST_PAUSE_SECONDS
        self.assertTrue(self.circuits.may_ask("bob"))
        self.assertFalse(self.circuits.may_ask("alice"))
        self.assertTrue(self.circuits.succeeded("bob", self.now))
        self.assertTrue(self.circuits.may_ask("alice"))

    def test_limit(self) -> None:
        """A limit is theirs who have met it."""
        self.fail_once("alice", 429, 30.0)
        self.assertFalse(self.circuits.may_ask("alice"))
        self.assertTrue(self.circuits.may_ask("") and self.circuits.may_ask("bob"))
        self.assertEqual(self.circuits.current("alice").status, 429)
        self.assertFalse(self.circuits.succeeded("bob", self.now + 1))
        self.assertFalse(self.circuits.may_ask("alice"))
        self.now += 30
        self.assertTrue(self.circuits.may_ask("alice"))
        self.assertFalse(self.circuits.may_ask("alice"))
        self.assertTrue(self.circuits.succeeded("alice", self.now))
        self.assertTrue(self.circuits.may_ask("alice"))

    def test_both(self) -> None:
        """Whose limit is over waits for the others' failure still."""
        self.fail_once("alice", 429, 1.0)
        self.fail_once("bob", 503, 30.0)
        self.now += 2
        self.assertFalse(self.circuits.may_ask("alice"))
        self.assertEqual(self.circuits.current("alice").status, 503)
        self.now += 30
        self.assertTrue(self.circuits.may_ask("alice"))

    def test_bounded(self) -> None:
        """Who met a limit long ago, with many after, is forgotten."""
        for number in range(MAX_LIMITED + 1):
            self.fail_once(f"user {number}", 429, 3600.0)
        self.assertTrue(self.circuits.may_ask("user 0"))
        self.assertFalse(self.circuits.may_ask("user 1"))
