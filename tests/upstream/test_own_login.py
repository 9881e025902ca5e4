"""The login of our own account: when it is shown, and what follows a refusal."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import Denied, OwnAccountRefused, UpstreamUnavailable
from regbroker.upstream.credentials import Login
from regbroker.upstream.login_record import FIRST_PAUSE_SECONDS
from regbroker.upstream.login_turns import TURN_SECONDS, Turn
from regbroker.upstream.own_login import OwnLogin, OwnLoginRefused

ABOUT = frozenset({"acme_team/app"})
OLD, NEW = Login("robot", "old"), Login("robot", "new")


class FakeCredentials:
    """A file with a login; `next_one` is what it holds after a refusal."""

    def __init__(self) -> None:
        self.login = OLD
        self.next_one: Login | None = None
        self.refusals: list[Login | None] = []
        self.is_closed = False

    async def get(self) -> Login:
        return self.login

    def refused(self, login: Login | None = None) -> None:
        self.refusals.append(login)
        self.login = self.next_one or self.login

    def close(self) -> None:
        self.is_closed = True


class OwnLoginTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.credentials = FakeCredentials()
        self.good = {OLD, NEW}
        self.proved: list[Login] = []
        self.shown: list[Login] = []
        self.waiting: list[Deferred[None]] | None = None
        self.own = OwnLogin("up", cast(Any, self.credentials), self.prove, self.clock)

    async def prove(self, login: Login, about: frozenset[str]) -> None:
        """Log in for nothing else."""
        self.proved.append(login)
        if login not in self.good:
            raise OwnLoginRefused(401)

    async def show(self, login: Login, turn: Turn) -> Login:
        """Show the login; wait for the test if that wants it."""
        self.shown.append(login)
        if self.waiting is not None:
            waiter: Deferred[None] = Deferred()
            self.waiting.append(waiter)
            await waiter
        if login not in self.good:
            raise OwnLoginRefused(401)
        self.own.confirmed(login, self.clock.seconds())
        return login

    def use(self, show: Any = None, about: frozenset[str] = ABOUT) -> Deferred[Any]:
        """Use the login."""
        return Deferred.fromCoroutine(self.own.use(about, show or self.show))

    def test_used(self) -> None:
        """What shows it gets it as it is now, and its result is returned."""
        self.assertEqual(self.successResultOf(self.use()), OLD)
        self.assertTrue(self.own.was_taken(OLD))
        self.assertFalse(self.own.was_taken(NEW))

    def test_one_at_a_time(self) -> None:
        """A login of which nothing is known is shown by one request."""
        self.waiting = []
        uses = [self.use() for _ in range(3)]
        self.assertEqual(self.shown, [OLD])
        self.waiting[0].callback(None)
        self.assertEqual(self.successResultOf(uses[0]), OLD)
        # It was taken: two may show it now.
        self.assertEqual(self.shown, [OLD, OLD, OLD])

    def test_another(self) -> None:
        """A login that is refused is asked for anew, and tried if it is another."""
        self.good, self.credentials.next_one = {NEW}, NEW
        self.assertEqual(self.successResultOf(self.use()), NEW)
        self.assertEqual(self.shown, [OLD, NEW])
        self.assertEqual(self.credentials.refusals, [OLD])

    def test_refused(self) -> None:
        """One that stays the same is shown once, and the operator is told once."""
        self.good = set()
        with capturedLogs() as events:
            for _ in range(3):
                self.failureResultOf(self.use(), OwnAccountRefused)
        self.assertEqual(self.shown, [OLD])
        (line,) = [formatEvent(event) for event in events]
        self.assertIn("[upstream up]: our own account was refused", line)
        self.assertIn("status 401", line)

    def test_both_refused(self) -> None:
        """Of two logins that are refused each is shown once."""
        self.good, self.credentials.next_one = set(), NEW
        self.failureResultOf(self.use(), OwnAccountRefused)
        self.assertEqual(self.shown, [OLD, NEW])

    def test_waiting_when_refused(self) -> None:
        """Who waits does not show what was refused meanwhile."""
        self.waiting, self.good = [], set()
        uses = [self.use() for _ in range(3)]
        self.waiting[0].callback(None)
        for one in uses:
            self.failureResultOf(one, OwnAccountRefused)
        self.assertEqual(self.shown, [OLD])

    def test_after_a_pause(self) -> None:
        """After a pause it is proved first, and used again when that goes well."""
        self.good = set()
        self.failureResultOf(self.use(), OwnAccountRefused)
        self.good = {OLD}
        self.failureResultOf(self.use(), OwnAccountRefused)
        self.assertEqual(self.proved, [])
        self.clock.advance(FIRST_PAUSE_SECONDS + 1)
        with capturedLogs() as events:
            self.assertEqual(self.successResultOf(self.use()), OLD)
        self.assertEqual(self.proved, [OLD])
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["[upstream up]: our own account is taken again"],
        )

    def test_failure(self) -> None:
        """A failure that says nothing of the login is that of those who wait."""

        waiter: Deferred[None] = Deferred()

        async def fail(login: Login, turn: Turn) -> None:
            self.shown.append(login)
            await waiter
            raise UpstreamUnavailable("it is down")

        uses = [self.use(fail) for _ in range(3)]
        waiter.callback(None)
        for one in uses:
            self.failureResultOf(one, UpstreamUnavailable)
        self.assertEqual(self.shown, [OLD])

    def test_kept_turn(self) -> None:
        """A request that keeps its turn holds up the others for a while."""

        async def keep(login: Login, turn: Turn) -> None:
            turn.keep()

        self.assertIsNone(self.successResultOf(self.use(keep)))
        waiting = self.use()
        self.assertNoResult(waiting)
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(self.successResultOf(waiting), OLD)

    def test_replaced_while_kept(self) -> None:
        """Who keeps a turn with a login that was replaced shows the new one."""
        waiter: Deferred[None] = Deferred()
        kept: list[Login] = []

        async def keep(login: Login, turn: Turn) -> Login:
            kept.append(login)
            if login == OLD:
                await waiter
            turn.keep()
            return login

        using = self.use(keep)
        self.credentials.login = NEW
        self.assertEqual(self.successResultOf(self.use()), NEW)
        waiter.callback(None)
        self.assertEqual(self.successResultOf(using), NEW)
        self.assertEqual(kept, [OLD, NEW])

    def test_lacking(self) -> None:
        """A login that is good, and refused for one name, has no right to that."""

        async def refuse(login: Login, turn: Turn) -> None:
            self.shown.append(login)
            raise OwnLoginRefused(401)

        self.failureResultOf(self.use(refuse), OwnAccountRefused)
        self.clock.advance(FIRST_PAUSE_SECONDS + 1)
        self.failureResultOf(self.use(refuse), Denied)
        self.assertTrue(self.own.is_lacking(OLD, ABOUT))
        self.failureResultOf(self.use(refuse), Denied)
        self.assertEqual(self.shown, [OLD, OLD])
        # Other names are not its affair.
        self.assertEqual(self.successResultOf(self.use(about=frozenset("b"))), OLD)

    def test_prove(self) -> None:
        """A login is proved unless it was taken a moment ago."""
        self.successResultOf(self.use())
        for seconds, proved in ((0, 0), (9, 0), (2, 1)):
            self.clock.advance(seconds)
            proving = Deferred.fromCoroutine(self.own.prove(OLD, ABOUT, 10.0))
            self.assertIsNone(self.successResultOf(proving))
            self.assertEqual(len(self.proved), proved)

    def test_late_news(self) -> None:
        """What is said of a login that was replaced changes nothing."""
        self.successResultOf(self.use())
        with capturedLogs() as events:
            self.own.refused(NEW, 401, ABOUT, self.clock.seconds())
            self.own.confirmed(NEW, self.clock.seconds())
        self.assertEqual(events, [])
        self.assertEqual(self.successResultOf(self.use()), OLD)

    def test_closed(self) -> None:
        """Its credentials end with it."""
        self.own.close()
        self.assertTrue(self.credentials.is_closed)
