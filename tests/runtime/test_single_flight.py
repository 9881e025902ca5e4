"""One piece of work for all who want the same."""

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.single_flight import Coalescer


class CoalescingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.coalescer: Coalescer[str] = Coalescer(self.clock, 10)
        self.works: list[Deferred[str]] = []

    def run_work(self, key: str) -> Deferred[str]:
        """Want the work under `key`."""

        async def work() -> str:
            self.works.append(Deferred())
            return await self.works[-1]

        return self.coalescer.run(key, work).deferred()

    def test_joined(self) -> None:
        """Who comes while the work is under way gets its outcome."""
        waiters = [self.run_work("a") for _ in range(3)]
        self.assertEqual(len(self.works), 1)
        self.works[0].callback("done")
        self.assertEqual([self.successResultOf(w) for w in waiters], ["done"] * 3)

    def test_under_way(self) -> None:
        """Whether there is something to join can be asked."""
        self.assertFalse(self.coalescer.is_under_way("a"))
        self.run_work("a")
        self.assertTrue(self.coalescer.is_under_way("a"))
        self.assertFalse(self.coalescer.is_under_way("b"))
        self.works[0].callback("")
        self.assertFalse(self.coalescer.is_under_way("a"))

    def test_not_joined(self) -> None:
        """Other work is other work, and so is the same work later."""
        self.run_work("a")
        self.run_work("b")
        self.assertEqual(len(self.works), 2)
        self.works[0].callback("")
        self.run_work("a")
        self.assertEqual(len(self.works), 3)

    def test_done_at_once(self) -> None:
        """Work that needs no waiting leaves nothing behind."""

        async def work() -> str:
            return "at once"

        for _ in range(2):
            self.assertEqual(
                self.successResultOf(self.coalescer.run("a", work).deferred()),
                "at once",
            )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """A failure is everybody's, and is forgotten."""
        waiters = [self.run_work("a") for _ in range(2)]
        self.works[0].errback(ValueError("no"))
        for waiter in waiters:
            self.failureResultOf(waiter, ValueError)
        self.run_work("a")
        self.assertEqual(len(self.works), 2)

    def test_waiter_leaves(self) -> None:
        """Who is cancelled leaves; the others get what they came for."""
        first, second = self.run_work("a"), self.run_work("a")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.works[0].callback("done")
        self.assertEqual(self.successResultOf(second), "done")

    def test_waiter_comes_again_from_callback(self) -> None:
        """Whoever asks again when told of the outcome starts new work."""
        again: list[Deferred[str]] = []
        self.run_work("a").addCallback(lambda _: again.append(self.run_work("a")))
        self.works[0].callback("old")
        self.works[1].callback("new")
        self.assertEqual(self.successResultOf(again[0]), "new")

    def test_timeout(self) -> None:
        """Work that takes too long is ended, and everybody told."""
        waiters = [self.run_work("a") for _ in range(2)]
        self.clock.advance(9.9)
        self.assertNoResult(waiters[0])
        self.clock.advance(0.2)
        for waiter in waiters:
            self.failureResultOf(waiter, TimeoutError)

    def test_cancel(self) -> None:
        """All work is ended at once."""
        waiters = [self.run_work("a"), self.run_work("b")]
        self.coalescer.cancel()
        for waiter in waiters:
            self.failureResultOf(waiter, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody_left(self) -> None:
        """With the last one who waits the work ends; who comes then begins anew."""
        first, second = (self.run_work("a") for _ in range(2))
        for waiter in (first, second):
            waiter.addErrback(lambda _: None)
        first.cancel()
        self.assertFalse(self.works[0].called)
        second.cancel()
        self.assertTrue(self.works[0].called)
        third = self.run_work("a")
        self.works[1].callback("done")
        self.assertEqual(self.successResultOf(third), "done")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_ends_another(self) -> None:
        """What one makes of the outcome may be that another is not wanted."""
        first, second = (self.run_work("a") for _ in range(2))
        second.addErrback(lambda _: None)
        first.addCallback(lambda _: second.cancel())
        self.works[0].callback("done")
        self.assertIsNone(self.successResultOf(second))
