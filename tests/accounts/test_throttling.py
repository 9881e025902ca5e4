"""A process that counts wrong passwords for itself."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.throttle import PAIR_LIMIT, Throttle, Verdict
from regbroker.accounts.throttling import LocalThrottling, local_throttling

WHO = ("192.0.2.1", "alice")


class LocalThrottlingTests(SynchronousTestCase):
    def result(self, asked: Coroutine[Any, Any, Any]) -> Any:
        """What is answered at once."""
        return self.successResultOf(Deferred.fromCoroutine(asked))

    def test_counts(self) -> None:
        """All is passed on, and back."""
        throttle = Throttle(lambda: 0.0)
        local = LocalThrottling(throttle)
        self.assertEqual(self.result(local.before(*WHO)), Verdict())
        for _ in range(PAIR_LIMIT):
            self.result(local.failed(*WHO))
        self.assertEqual(self.result(local.refusal(*WHO)), 1)
        self.assertEqual(self.result(local.before(*WHO)), Verdict(retry_after=1))
        self.result(local.forgive(*WHO))
        self.assertIsNone(self.result(local.refusal(*WHO)))
        self.assertFalse(self.result(local.is_good(*WHO)))
        self.result(local.succeeded(*WHO))
        self.assertTrue(self.result(local.is_good(*WHO)))
        self.assertTrue(throttle.is_good(*WHO))

    def test_apart(self) -> None:
        """Each section of accounts has its own."""
        one, other = local_throttling("one"), local_throttling("other")
        self.result(one.succeeded(*WHO))
        self.assertFalse(self.result(other.is_good(*WHO)))
