"""
Rests: when an upstream that has failed is asked again.

One that says when (``Retry-After``) is believed, within bounds; another rests
for a pause that grows with each failure. After that one request tries it, and
the others wait for how that ends.

A limit (429) is somebody's: Docker Hub counts by account, and by address for who
has none. So that rest is for those who have met it, and all others go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from regbroker.runtime.bounded_memory import BoundedMemory

FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 60.0

#: Docker Hub counts pulls in windows of six hours.
LONGEST_REST_SECONDS = 6 * 3600.0

#: Of those who have met a limit; who is forgotten meets it again.
MAX_LIMITED = 1024

_TOO_MANY_REQUESTS = 429

#: The states of a circuit, as they are told.
STATES = ("closed", "open", "half-open")


class CircuitBreaker:
    """
    One rest of an upstream.

    `now` returns seconds; `trial_seconds` is how long one request may take to
    find out whether the upstream is back. The pauses, in seconds, grow from `first`
    to `last`.
    """

    def __init__(
        self,
        now: Callable[[], float],
        trial_seconds: float,
        first: float = FIRST_PAUSE_SECONDS,
        last: float = LAST_PAUSE_SECONDS,
    ) -> None:
        self._now = now
        self._trial_seconds = trial_seconds
        self._first = first
        self._last = last
        self._until = 0.0
        self._failures = 0
        self._failed_at = 0.0
        self._is_tried = False
        self._tried_at = 0.0
        self._told = False
        self._answered_since = -math.inf
        #: The status that it failed with; 0 while it does not rest.
        self.status = 0

    @property
    def remaining(self) -> float:
        """Seconds until it is to be asked again, 0 when that is now."""
        return max(self._until - self._now(), 0.0) if self._failures else 0.0

    @property
    def state(self) -> str:
        """``closed``, ``open``, or ``half-open`` when one request may try it now."""
        if not self._failures:
            return "closed"
        is_open = self.remaining > 0 and not self._is_tried
        return "open" if is_open else "half-open"

    @property
    def was_told(self) -> bool:
        """Whether it rests, and has said itself for how long."""
        return self._told and self.remaining > 0

    def may_ask(self) -> bool:
        """Tell whether to ask it now; of an upstream that rests, one request may."""
        if self.remaining > 0:
            return False
        if self._failures:
            self._is_tried = True
            self._tried_at = self._now()
            self._until = self._now() + self._trial_seconds
        return True

    def failed(self, status: int, told: float | None, started: float) -> float | None:
        """
        Note the failure of a request that was made at `started`.

        Returns for how many seconds to rest; None when that is known already, or
        when what was asked later has been answered. `told` is what the upstream has
        said, in seconds, or None.
        """
        if started < self._answered_since:
            return None
        circuits = self.remaining > 0 and not self._is_tried
        if self._failures and (circuits or started <= self._failed_at):
            # Many requests see one failure, and it is one still.
            return None
        self._failures += 1
        self._failed_at = self._now()
        self._is_tried = False
        self.status = status
        self._told = told is not None
        pause = min(self._first * 2.0 ** min(self._failures - 1, 16), self._last)
        if told is not None:
            pause = min(max(told, FIRST_PAUSE_SECONDS), LONGEST_REST_SECONDS)
        self._until = self._now() + pause
        return pause

    def given_up(self, started: float) -> None:
        """Note that a request ended without a verdict, so that another may try."""
        if self._is_tried and started >= self._tried_at:
            self._until = self._now()

    def succeeded(self, started: float) -> bool:
        """
        Note an answer to a request that was made at `started`.

        Tells whether that is the end of a rest: what was asked before the failure
        is not.
        """
        self._answered_since = max(self._answered_since, started)
        if not self._failures or started <= self._failed_at:
            return False
        self._failures = 0
        self._is_tried = False
        self.status = 0
        self._told = False
        return True


class CircuitBreakers:
    """
    The rests of one upstream: from everybody, and from those who met a limit.

    `who` is any text for an account at the upstream; empty for who has none.
    """

    def __init__(self, now: Callable[[], float], trial_seconds: float) -> None:
        self._now = now
        self._trial_seconds = trial_seconds
        self._everybody = CircuitBreaker(now, trial_seconds)
        self._limited: BoundedMemory[str, CircuitBreaker] = BoundedMemory(MAX_LIMITED)
        #: How often a circuit has opened, and what the last failure was, for people.
        self.trips = 0
        self.last_failure = ""

    @property
    def state(self) -> str:
        """The state of the circuit of everybody; see `CircuitBreaker.state`."""
        return self._everybody.state

    @property
    def limited(self) -> int:
        """How many accounts have met a limit and may not ask yet."""
        return sum(one.remaining > 0 for one in self._limited.values())

    def may_ask(self, who: str) -> bool:
        """Tell whether to ask the upstream now; see `CircuitBreaker.may_ask`."""
        limited = self._limited.get(who)
        if limited is not None and limited.remaining > 0:
            return False
        if not self._everybody.may_ask():
            return False
        return limited is None or limited.may_ask()

    def current(self, who: str) -> CircuitBreaker:
        """Return the rest that keeps `who` from asking."""
        limited = self._limited.get(who)
        return limited if limited and limited.remaining > 0 else self._everybody

    def failed(
        self,
        who: str,
        status: int,
        told: float | None,
        started: float,
        is_own: bool = False,
    ) -> float | None:
        """
        Note a failure; see `CircuitBreaker.failed`.

        With `is_own` it is about `who` alone, as a limit is.
        """
        rest = self._everybody
        if is_own or status == _TOO_MANY_REQUESTS:
            limited = self._limited.get(who)
            if limited is None:
                limited = CircuitBreaker(self._now, self._trial_seconds)
            rest = limited
            self._limited.put(who, limited)
        return rest.failed(status, told, started)

    def tripped(self, why: str) -> None:
        """Count that a circuit has opened; `why` is a sentence for people."""
        self.trips += 1
        self.last_failure = why

    def given_up(self, who: str, started: float) -> None:
        """
        Note that a request ended without a verdict; see `CircuitBreaker.given_up`.
        """
        self._everybody.given_up(started)
        limited = self._limited.get(who)
        if limited is not None:
            limited.given_up(started)

    def succeeded(self, who: str, started: float) -> bool:
        """Note an answer; see `CircuitBreaker.succeeded`."""
        ended = self._everybody.succeeded(started)
        limited = self._limited.get(who)
        if limited is not None and limited.succeeded(started):
            self._limited.pop(who)
            return True
        return ended
