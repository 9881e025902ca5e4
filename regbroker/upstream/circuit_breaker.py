"""
Circuit breakers: when an upstream that has failed is asked again.

A failure opens the circuit. ``Retry-After`` of the upstream says for how long, within
bounds; without it the circuit is open for a pause that grows with each failure. Then
the circuit is half-open: one request tries the upstream, and an answer closes the
circuit.

A limit (429) belongs to one account: Docker Hub counts by account, and by address for
clients without one. So a limit opens a circuit of that account alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from regbroker.runtime.bounded_memory import BoundedMemory

FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 60.0

#: Docker Hub counts pulls in windows of six hours.
LONGEST_OPEN_SECONDS = 6 * 3600.0

#: Of limited accounts; one that is forgotten meets its limit again.
MAX_LIMITED = 1024

_TOO_MANY_REQUESTS = 429

#: The states of a circuit, as they are shown.
STATES = ("closed", "open", "half-open")


class CircuitBreaker:
    """
    One circuit of an upstream.

    `now` returns seconds; `trial_seconds` is how long the one request of a half-open
    circuit may take. The pauses, in seconds, grow from `first` to `last`.
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
        self._is_trying = False
        self._tried_at = 0.0
        self._has_told_when = False
        self._answered_since = -math.inf
        #: The status that it failed with; 0 while the circuit is closed.
        self.status = 0

    @property
    def open_seconds(self) -> float:
        """Seconds until the upstream may be asked again, 0 when it may be now."""
        return max(self._until - self._now(), 0.0) if self._failures else 0.0

    @property
    def state(self) -> str:
        """``closed``, ``open``, or ``half-open`` when one request may try it now."""
        if not self._failures:
            return "closed"
        is_open = self.open_seconds > 0 and not self._is_trying
        return "open" if is_open else "half-open"

    @property
    def has_told_when(self) -> bool:
        """Whether the upstream itself has said for how long the circuit is open."""
        return self._has_told_when and self.open_seconds > 0

    def may_ask(self) -> bool:
        """Tell whether to ask now; while the circuit is half-open, one request may."""
        if self.open_seconds > 0:
            return False
        if self._failures:
            self._is_trying = True
            self._tried_at = self._now()
            self._until = self._now() + self._trial_seconds
        return True

    def failed(
        self, status: int, retry_after: float | None, started: float
    ) -> float | None:
        """
        Note the failure of a request that was made at `started`.

        Returns for how many seconds the circuit is open; None when it was open
        already, or when a later request has been answered. `retry_after` is what the
        upstream has said, in seconds, or None.
        """
        if started < self._answered_since:
            return None
        is_open = self.open_seconds > 0 and not self._is_trying
        if self._failures and (is_open or started <= self._failed_at):
            # Many requests see one failure, and it is one still.
            return None
        self._failures += 1
        self._failed_at = self._now()
        self._is_trying = False
        self.status = status
        self._has_told_when = retry_after is not None
        pause = min(self._first * 2.0 ** min(self._failures - 1, 16), self._last)
        if retry_after is not None:
            pause = min(max(retry_after, FIRST_PAUSE_SECONDS), LONGEST_OPEN_SECONDS)
        self._until = self._now() + pause
        return pause

    def abandoned(self, started: float) -> None:
        """Note that a request ended without an answer or a failure: another may try."""
        if self._is_trying and started >= self._tried_at:
            self._until = self._now()

    def succeeded(self, started: float) -> bool:
        """
        Note an answer to a request that was made at `started`.

        Tells whether that closes the circuit: an answer to a request that was made
        before the failure does not.
        """
        self._answered_since = max(self._answered_since, started)
        if not self._failures or started <= self._failed_at:
            return False
        self._failures = 0
        self._is_trying = False
        self.status = 0
        self._has_told_when = False
        return True


class CircuitBreakers:
    """
    The circuits of one upstream: one for everybody, and one for each limited account.

    `account` is any text for an account at the upstream; empty for none.
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
        return sum(one.open_seconds > 0 for one in self._limited.values())

    def may_ask(self, account: str) -> bool:
        """Tell whether to ask the upstream now; see `CircuitBreaker.may_ask`."""
        limited = self._limited.get(account)
        if limited is not None and limited.open_seconds > 0:
            return False
        if not self._everybody.may_ask():
            return False
        return limited is None or limited.may_ask()

    def current(self, account: str) -> CircuitBreaker:
        """Return the circuit that decides for `account`."""
        limited = self._limited.get(account)
        return limited if limited and limited.open_seconds > 0 else self._everybody

    def failed(
        self,
        account: str,
        status: int,
        retry_after: float | None,
        started: float,
        is_own: bool = False,
    ) -> float | None:
        """
        Note a failure; see `CircuitBreaker.failed`.

        With `is_own` it is about `account` alone, as a limit is.
        """
        circuit = self._everybody
        if is_own or status == _TOO_MANY_REQUESTS:
            limited = self._limited.get(account)
            if limited is None:
                limited = CircuitBreaker(self._now, self._trial_seconds)
            circuit = limited
            self._limited.put(account, limited)
        return circuit.failed(status, retry_after, started)

    def tripped(self, why: str) -> None:
        """Count that a circuit has opened; `why` is a sentence for people."""
        self.trips += 1
        self.last_failure = why

    def abandoned(self, account: str, started: float) -> None:
        """Note a request without an answer or a failure; see `CircuitBreaker`."""
        self._everybody.abandoned(started)
        limited = self._limited.get(account)
        if limited is not None:
            limited.abandoned(started)

    def succeeded(self, account: str, started: float) -> bool:
        """Note an answer; see `CircuitBreaker.succeeded`."""
        ended = self._everybody.succeeded(started)
        limited = self._limited.get(account)
        if limited is not None and limited.succeeded(started):
            self._limited.pop(account)
            return True
        return ended
