"""When an upstream that has failed is asked again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.resting import (
    FIRST_PAUSE_SECONDS,
    LAST_PAUSE_SECONDS,
    LONGEST_REST_SECONDS,
    Rest,
    parse_retry_after,
)

TRIAL = 5.0


class RestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.rest = Rest(lambda: self.now, TRIAL)

    def test_well(self) -> None:
        """One that has not failed may always be asked, by everybody."""
        self.assertTrue(self.rest.may_ask() and self.rest.may_ask())
        self.assertEqual((self.rest.remaining, self.rest.status), (0.0, 0))
        self.assertFalse(self.rest.succeeded())

    def test_pauses(self) -> None:
        """They double, up to a minute; an answer begins anew."""
        pauses = [self.rest.failed(503, None) for _ in range(8)]
        self.assertEqual(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0])
        self.assertEqual(pauses[-1], LAST_PAUSE_SECONDS)
        self.assertTrue(self.rest.succeeded())
        self.assertEqual(self.rest.failed(503, None), FIRST_PAUSE_SECONDS)

    def test_told(self) -> None:
        """What the upstream says counts, within bounds."""
        self.assertEqual(self.rest.failed(429, 30.0), 30.0)
        self.assertEqual((self.rest.status, self.rest.was_told), (429, True))
        self.now += 10
        self.assertEqual(self.rest.remaining, 20.0)
        self.assertEqual(self.rest.failed(429, 0.0), FIRST_PAUSE_SECONDS)
        self.assertEqual(self.rest.failed(429, 1e9), LONGEST_REST_SECONDS)

    def test_trial(self) -> None:
        """After the rest one may ask; the next one when that takes too long."""
        self.rest.failed(503, None)
        self.assertFalse(self.rest.may_ask())
        self.now += FIRST_PAUSE_SECONDS
        self.assertTrue(self.rest.may_ask())
        self.assertFalse(self.rest.may_ask())
        self.now += TRIAL
        self.assertTrue(self.rest.may_ask())
        self.assertTrue(self.rest.succeeded())
        self.assertTrue(self.rest.may_ask() and self.rest.may_ask())


class RetryAfterTests(SynchronousTestCase):
    def test_seconds(self) -> None:
        """A number is seconds."""
        self.assertEqual(parse_retry_after(" 120 ", 0.0), 120.0)

    def test_date(self) -> None:
        """A date is counted from now; one that is over is now."""
        date = "Thu, 01 Jan 1970 00:10:00 GMT"
        self.assertEqual(parse_retry_after(date, 500.0), 100.0)
        self.assertEqual(parse_retry_after(date, 700.0), 0.0)

    def test_nonsense(self) -> None:
        """Anything else says nothing."""
        for text in (None, "", "-1", "1.5", "soon", "Thu, 99 Jan 1970", "9" * 10):
            self.assertIsNone(parse_retry_after(text, 0.0))
