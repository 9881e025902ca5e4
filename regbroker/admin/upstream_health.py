"""
Whether an upstream answers, and what went wrong last.

Requests of clients tell most of it. A probe may take this machine out of service when
they fail, and then there are none; so when nobody has heard of the upstream lately,
when a request has failed, and as long as it does not answer, it is sent a ping.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from regbroker.causes import Cause
from regbroker.errors import HTTPError, TooManyRequests
from regbroker.events import Event
from regbroker.upstream.registry import Upstream

#: What is known stays good for so long. Probes come every 10 s mostly.
FRESH_SECONDS = 5.0

#: How a request ends when the upstream may be down.
_SUSPICIOUS = frozenset(
    {
        Cause.UPSTREAM_UNREACHABLE,
        Cause.UPSTREAM_BROKE_OFF,
        Cause.UPSTREAM_IDLE,
        Cause.UPSTREAM_NOT_READING,
        Cause.UPSTREAM_FAILED,
    }
)

#: Others of its failures, which say nothing about whether it answers.
_WRONG = frozenset(
    {
        Cause.UPSTREAM_MALFORMED,
        Cause.OWN_ACCOUNT_REFUSED,
        Cause.OWN_ACCOUNT_MISSING,
        Cause.REDIRECT_REFUSED,
        Cause.TOKENS_UNREACHABLE,
        Cause.TOKENS_BROKE_OFF,
        Cause.TOKENS_IDLE,
        Cause.TOKENS_MALFORMED,
        Cause.TOKENS_FAILED,
        Cause.STORAGE_UNREACHABLE,
        Cause.STORAGE_BROKE_OFF,
        Cause.STORAGE_IDLE,
        Cause.STORAGE_MALFORMED,
    }
)


class UpstreamHealth:
    """
    What is known of one upstream.

    `clock` is the reactor; `now` returns seconds since 1970.
    """

    def __init__(
        self, upstream: Upstream, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self.upstream = upstream
        self._clock = clock
        self._now = now
        self._known_at = -math.inf
        self._told_at = -math.inf
        self._answers: bool | None = None
        #: What went wrong last, for people, and when in seconds since 1970.
        self.last_error = ""
        self.last_error_at = 0.0

    @property
    def answers(self) -> bool:
        """Whether it has answered when somebody asked it last."""
        if self._answers is None:
            return self.upstream.discovered is not None
        # It may have answered a ping that nobody here has sent.
        return self._answers or self.upstream.pinged_at > self._told_at

    @property
    def is_fresh(self) -> bool:
        """Whether it has answered so lately that nobody needs to ask."""
        # One that does not may be back this moment. Who asks together sends one ping.
        return self.answers and self._clock.seconds() - self._known_at < FRESH_SECONDS

    def note(self, event: Event) -> None:
        """Learn from a request to this upstream that is over."""
        if event.cause in _SUSPICIOUS:
            self._failed(event.outcome)
            # To be asked at once: it may have been this one request.
            self._known_at = -math.inf
        elif event.cause in _WRONG:
            self._failed(event.outcome)
        elif event.cause is Cause.DONE and event.upstream_seconds is not None:
            self._knows(event.status < 500)

    async def check(self) -> bool:
        """Return whether it answers, with a ping where nobody knows."""
        if self.is_fresh:
            return self.answers
        try:
            await self.upstream.check()
        except TooManyRequests:
            # It does; it is not for us just now.
            self._knows(True)
        except HTTPError as error:
            self._failed(error.message)
            self._knows(False)
        else:
            self._knows(True)
        return self.answers

    def _knows(self, answers: bool) -> None:
        self._answers = answers
        self._known_at = self._told_at = self._clock.seconds()

    def _failed(self, why: str) -> None:
        self.last_error = why
        self.last_error_at = self._now()
