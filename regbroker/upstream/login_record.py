"""
What an upstream has said to one login of ours: taken, refused, or nothing yet.

Registries lock accounts for wrong passwords. So a login that was refused is shown
again only after a pause, which grows. Some say 401 for want of a right, too: if the
login is taken again after a pause, and refused once more about the same name, it is
that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.upstream.circuit_breaker import CircuitBreaker

FIRST_PAUSE_SECONDS = 10.0
LAST_PAUSE_SECONDS = 900.0

#: How long a good login is not shown again about what it has no right to, and how
#: many names are remembered.
LACKING_SECONDS = 300.0
MAX_LACKING = 1024


class LoginRecord:
    """
    The record of one login; `now` returns seconds.

    `trial_seconds` is how long it may take to find out whether a login that was
    refused is taken by now.
    """

    def __init__(self, now: Callable[[], float], trial_seconds: float) -> None:
        self._now = now
        self._circuit = CircuitBreaker(
            now, trial_seconds, FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS
        )
        self._confirmed_at: float | None = None
        self._doubted: set[str] = set()
        self._suspected = _names(now)
        self._lacking = _names(now)
        #: Whether it was refused, and not taken since.
        self.is_refused = False

    @property
    def was_confirmed(self) -> bool:
        """Whether it was taken at any time."""
        return self._confirmed_at is not None

    def is_confirmed(self, seconds: float) -> bool:
        """Tell whether it was taken within the last `seconds`."""
        if self.is_refused or self._confirmed_at is None:
            return False
        return self._now() - self._confirmed_at < seconds

    def may_show(self) -> bool:
        """Tell whether to show it, refused as it is: one may, after each pause."""
        return self._circuit.may_ask()

    def confirmed(self, started: float) -> bool:
        """
        Note that it was taken by a request made at `started`.

        Tells whether that is the end of a refusal.
        """
        is_end = self._circuit.succeeded(started)
        if self.is_refused and not is_end:
            return False
        was_refused, self.is_refused = self.is_refused, False
        self._confirmed_at = self._now()
        _put(self._suspected, self._doubted)
        self._doubted.clear()
        return was_refused

    def refused(
        self, status: int, about: Iterable[str], started: float
    ) -> float | None:
        """
        Note that it was refused to a request made at `started`.

        `about` are the names of the request's repositories. Returns for how many
        seconds it is not shown; None when that is known already, when it is
        no news (what was asked later was taken), and when it is about a name.
        """
        about = frozenset(about)
        if not self.is_refused and any(map(self._suspected.get, about)):
            _put(self._lacking, about)
            return None
        seconds = self._circuit.failed(status, None, started)
        self.is_refused = self.is_refused or seconds is not None
        if self.is_refused:
            self._doubted.update(about)
        return seconds

    def abandoned(self, started: float) -> None:
        """Note that what `may_show` allowed ended without an answer."""
        self._circuit.abandoned(started)

    def is_lacking(self, about: Iterable[str]) -> bool:
        """Tell whether it is good, but has no right to one of these repositories."""
        return any(map(self._lacking.get, about))


def _names(now: Callable[[], float]) -> BoundedMemory[str, bool]:
    return BoundedMemory(MAX_LACKING, now=now, max_age=LACKING_SECONDS)


def _put(memory: BoundedMemory[str, bool], names: Iterable[str]) -> None:
    for name in names:
        memory.put(name, True)
