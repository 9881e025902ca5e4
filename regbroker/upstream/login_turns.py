"""
Turns: how many requests show one login at the same time.

One at first, and more as the login is taken. A request that fetches a token has its
turn until it is answered; one that carries the login keeps it for a while.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from regbroker.upstream.login_record import LoginRecord

#: Only a login that was taken so little time ago is shown by several at once.
CONFIRMED_SECONDS = 1.0

#: How long a request that carries the login keeps its turn, when there is no answer:
#: one that takes longer, or whose body is long, holds up nobody.
TURN_SECONDS = 2.0


class Turns:
    """
    How many show one login at the same time: one, and more as it is taken.

    As in a slow start, each one who is taken lets another one begin beside the next,
    as long as somebody waits or shows it: a wrong password is shown once, and those
    who come by the hundred need a few rounds, not a hundred.
    """

    def __init__(self, record: LoginRecord) -> None:
        self._record = record
        self._most = 1
        self._showing = 0
        self._waiters: list[Deferred[None]] = []
        self._is_looking = False

    @property
    def may_begin(self) -> bool:
        """Whether there is a turn for one more."""
        return self._showing < (self._most if self._is_confirmed else 1)

    def begin(self) -> None:
        """Take a turn."""
        self._showing += 1

    def wait(self) -> Deferred[None]:
        """Fire when there is a turn; fails with a failure that says nothing."""
        waiter: Deferred[None] = Deferred(self._forget)
        self._waiters.append(waiter)
        return waiter

    def taken(self) -> None:
        """Note that the login was taken, unless it is refused still."""
        if self._showing and self._is_confirmed:
            self._most += 1
            self.look()

    def end(self, failure: Failure | None) -> None:
        """Give a turn back; the others fail with a failure that says nothing."""
        self._showing -= 1
        if not self._is_confirmed or not (self._showing or self._waiters):
            self._most = 1
        if failure is None or self._is_confirmed or self._record.is_refused:
            self.look()
            return
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.errback(failure)

    def look(self) -> None:
        """Let those begin who may, and all look who wait for what is refused."""
        if self._is_looking:
            # Who ends a turn at once does not begin the next one's from within.
            return
        self._is_looking = True
        while self._waiters and (self.may_begin or self._record.is_refused):
            self._waiters.pop(0).callback(None)
        self._is_looking = False

    @property
    def _is_confirmed(self) -> bool:
        return self._record.is_confirmed(CONFIRMED_SECONDS)

    def _forget(self, waiter: Deferred[None]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)


class Turn:
    """
    One's turn to show a login, which has begun.

    Who keeps it has until `TURN_SECONDS` have passed to say by `end` that an answer
    is there, or that none will be.
    """

    def __init__(self, turns: Turns, clock: IReactorTime) -> None:
        self._turns = turns
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._has_ended = False
        turns.begin()

    @property
    def is_kept(self) -> bool:
        """Whether it goes on for a while, or has ended after that."""
        return self._timer is not None

    def keep(self) -> None:
        """Let it go on, for a request that carries the login."""
        self._timer = self._clock.callLater(TURN_SECONDS, self.end)

    def end(self, failure: Failure | None = None) -> None:
        """Give the turn back; does nothing after the first time."""
        if self._has_ended:
            return
        self._has_ended = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._turns.end(failure)
