"""
Clients that leave before they have their reply.

`Request.notifyFinish` makes a Deferred, which costs more than most of what is done for
a request that waits. A request keeps these Deferreds in `notifications`, and calls
nothing of them but `callback` or `errback`. So an object with these two is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

_log = Logger()


class _Departure:
    """Takes the place of a Deferred in a request's `notifications`."""

    def __init__(self, gone: Callable[[Failure], object]) -> None:
        self._gone = gone

    def callback(self, _: object) -> None:
        """Do nothing: the reply has ended."""

    def errback(self, reason: Failure) -> None:
        """Call `gone`; what it raises is logged, and the others are told, too."""
        try:
            self._gone(reason)
        except Exception:
            _log.failure("a client has left")


def when_gone(request: Request, gone: Callable[[Failure], object]) -> None:
    """
    Have `gone` called with the reason if the client leaves before its reply has ended.

    `request` is that of any site. What was given first is called first.
    """
    notifications: list[Any] = request.notifications
    notifications.append(_Departure(gone))
