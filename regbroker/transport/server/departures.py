"""
Clients that leave before they have their reply.

`Request.notifyFinish` makes a Deferred, which costs more than most of what is done for
a request that waits. A request keeps these Deferreds in `notifications`, and calls
nothing of them but `callback` or `errback`. So an object with these two is enough.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

_log = Logger()


class Companion:
    """
    Stays with a request, and takes the place of a Deferred in its `notifications`.

    The subclass is told if the client leaves before its reply has ended.
    """

    def client_gone(self, reason: Failure) -> None:
        """Take note that the client has left."""
        raise NotImplementedError

    def accompany(self, request: Request) -> None:
        """Stay with a request of any site; who came first is told first."""
        notifications: list[Any] = request.notifications
        notifications.append(self)

    def callback(self, _: object) -> None:
        """Do nothing: the reply has ended."""

    def errback(self, reason: Failure) -> None:
        """Call `client_gone`; what it raises is logged, and others are told, too."""
        try:
            self.client_gone(reason)
        except Exception:
            _log.failure("a client has left")
