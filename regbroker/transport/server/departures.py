"""
Clients that leave before they have their reply.

`Request.notifyFinish` makes a Deferred, which takes longer than most else that is done
for a request that waits. What Twisted calls of it is all that is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

_log = Logger()


class _Departure:
    """Stands for a Deferred among those that a request tells of its end."""

    def __init__(self, gone: Callable[[Failure], object]) -> None:
        self._gone = gone

    def callback(self, _: object) -> None:
        """Do nothing: the reply has ended."""

    def errback(self, reason: Failure) -> None:
        """Tell who wants to know; the others are told, whatever that one raises."""
        try:
            self._gone(reason)
        except Exception:
            _log.failure("a client has left")


def when_gone(request: Request, gone: Callable[[Failure], object]) -> None:
    """
    Have `gone` called with the reason if the client leaves before its reply has ended.

    `request` is that of whatever site. Who asks first is told first.
    """
    notifications: list[Any] = request.notifications
    notifications.append(_Departure(gone))
