"""Which signatures may be taken."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.algorithms import ALGORITHMS, DEFAULT_ALGORITHMS


class AlgorithmTests(SynchronousTestCase):
    def test_asymmetric(self) -> None:
        """Neither none nor HMAC is among them, and the defaults are."""
        self.assertTrue(
            all(name[:2] in ("RS", "PS", "ES", "Ed") for name in ALGORITHMS)
        )
        self.assertLessEqual(set(DEFAULT_ALGORITHMS), set(ALGORITHMS))
