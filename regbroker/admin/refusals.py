"""The last requests that were refused, and why."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from regbroker.admin.counting import is_refusal
from regbroker.audit import login_outcome
from regbroker.events import Event

#: A page's worth.
MAX_KEPT = 50

#: What is kept of a text that a client has chosen.
MAX_TEXT = 200


@dataclass(frozen=True)
class Refused:
    """One request that was refused; `at` is in seconds since 1970."""

    at: float
    client: str
    user: str
    registry: str
    method: str
    path: str
    status: int
    code: str
    reason: str


def _reason(event: Event) -> str:
    if event.upstream_seconds is not None and (
        event.credentials == "password" and login_outcome(event) == "refused"
    ):
        # The status alone does not say it.
        return "the upstream does not take this user and password"
    return event.refusal


class RecentRefusals:
    """Keeps the last refusals, the latest first; `now` returns seconds since 1970."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: deque[Refused] = deque(maxlen=MAX_KEPT)

    def note(self, event: Event) -> None:
        """Keep a request that is over, if it was refused."""
        if is_refusal(event):
            self._kept.appendleft(
                Refused(
                    self._now(),
                    event.client,
                    event.user[:MAX_TEXT],
                    event.registry[:MAX_TEXT],
                    event.method[:MAX_TEXT],
                    event.path[:MAX_TEXT],
                    event.status,
                    event.code,
                    _reason(event),
                )
            )

    def latest(self) -> tuple[Refused, ...]:
        """Return what is kept."""
        return tuple(self._kept)
