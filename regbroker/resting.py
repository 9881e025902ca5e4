"""
Rests: when an upstream that has failed is asked again.

One that says when (``Retry-After``) is believed, within bounds; another rests
for a pause that grows with each failure. After that one request tries it, and
the others wait for how that ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timezone
from email.utils import parsedate_to_datetime

FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 60.0

#: Docker Hub counts pulls in windows of six hours.
LONGEST_REST_SECONDS = 6 * 3600.0


class Rest:
    """
    The rest of one upstream.

    `now` returns seconds; `trial_seconds` is how long one request may take to
    find out whether the upstream is back.
    """

    def __init__(self, now: Callable[[], float], trial_seconds: float) -> None:
        self._now = now
        self._trial_seconds = trial_seconds
        self._until = 0.0
        self._failures = 0
        #: The status that it failed with; 0 while it does not rest.
        self.status = 0
        #: Whether the upstream itself has said how long.
        self.was_told = False

    @property
    def remaining(self) -> float:
        """Seconds until it is to be asked again, 0 when that is now."""
        return max(self._until - self._now(), 0.0) if self._failures else 0.0

    def may_ask(self) -> bool:
        """Tell whether to ask it now; of an upstream that rests, one request may."""
        if self.remaining > 0:
            return False
        if self._failures:
            self._until = self._now() + self._trial_seconds
        return True

    def failed(self, status: int, told: float | None) -> float:
        """
        Note a failure, and return for how many seconds to rest.

        `told` is what the upstream has said, in seconds, or None.
        """
        self._failures += 1
        self.status = status
        self.was_told = told is not None
        pause = min(
            FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures - 1, 16), LAST_PAUSE_SECONDS
        )
        if told is not None:
            pause = min(max(told, FIRST_PAUSE_SECONDS), LONGEST_REST_SECONDS)
        self._until = self._now() + pause
        return pause

    def succeeded(self) -> bool:
        """Note an answer; tells whether that is the end of a rest."""
        was_resting = self._failures > 0
        self._failures = 0
        self.status = 0
        self.was_told = False
        return was_resting


def parse_retry_after(text: str | None, now: float) -> float | None:
    """
    Return a ``Retry-After`` (RFC 9110, 10.2.3) in seconds; None without sense.

    `now` is in seconds since 1970.
    """
    text = (text or "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(moment.timestamp() - now, 0.0)
