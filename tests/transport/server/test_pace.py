"""How slowly a body may come."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.server.pace import Pace, Patience

PACE = Pace(silence=60, whole=30, rate=500)


def started(pace: Pace = PACE) -> Patience:
    """A body that is expected from now on, which is 0."""
    patience = Patience(pace, 0)
    patience.resume(0)
    return patience


class PatienceTests(SynchronousTestCase):
    def test_silence(self) -> None:
        """Nothing at all is waited for as long as a client may be silent."""
        patience = started()
        self.assertEqual(patience.left(0), 60)
        self.assertEqual(patience.left(59), 1)
        self.assertFalse(patience.is_silent(59))
        self.assertTrue(patience.is_silent(60))

    def test_silence_ends(self) -> None:
        """A byte ends it, but not the patience."""
        patience = started()
        patience.received(1, 50)
        self.assertEqual(patience.left(50), 60)
        patience.received(1, 100)
        self.assertAlmostEqual(patience.left(100), 20.004)

    def test_drip(self) -> None:
        """One byte in 59 s has an end after the grace, and it was not silent."""
        patience = started()
        for second in (59, 118):
            patience.received(1, second)
        self.assertAlmostEqual(patience.left(118), 2.004)
        self.assertLessEqual(patience.left(121), 0)
        self.assertFalse(patience.is_silent(121))

    def test_credit_is_bounded(self) -> None:
        """What came fast buys no more than the grace."""
        patience = started()
        patience.received(10**9, 1)
        for second in range(51, 121, 10):
            patience.received(1, second)
        self.assertLess(patience.left(121), 0.1)

    def test_at_the_rate(self) -> None:
        """Who keeps to the rate is waited for without end."""
        patience = started()
        for second in range(10, 10_000, 10):
            patience.received(5000, second)
            self.assertEqual(patience.left(second), 60)

    def test_not_read_from(self) -> None:
        """While the upstream takes nothing, a client loses nothing."""
        patience = started()
        patience.received(1, 50)
        patience.pause(55)
        self.assertFalse(patience.is_running)
        self.assertEqual(patience.left(10_000), 55)
        patience.resume(10_000)
        self.assertEqual(patience.left(10_000), 60)
        patience.received(0, 10_059)
        self.assertAlmostEqual(patience.left(10_059), 120 - 55 - 59 + 0.002)

    def test_paused_again_and_again(self) -> None:
        """Pauses give no time: only what is sent does."""
        patience = started()
        for second in range(0, 1200, 10):
            patience.pause(second + 1)
            patience.resume(second + 10)
        self.assertEqual(patience.left(1200), 0)

    def test_no_rate(self) -> None:
        """Without a rate silence alone counts."""
        patience = started(Pace(60, 30, 0))
        for second in range(59, 100_000, 59):
            patience.received(1, second)
            self.assertEqual(patience.left(second), 60)

    @given(st.lists(st.tuples(st.floats(0, 59), st.integers(0, 100_000)), max_size=50))
    def test_never_more_than_the_grace(self, steps: list[tuple[float, int]]) -> None:
        """However it comes, a body is below the rate for no longer than the grace."""
        patience, now, sent = started(), 0.0, 0
        for seconds, size in steps:
            now += seconds
            if patience.left(now) <= 0:
                break
            patience.received(size, now)
            sent += size
            self.assertLessEqual(patience.left(now), PACE.silence)
            self.assertLessEqual(now, PACE.grace + sent / PACE.rate + 1e-6)
