"""
Twisted's reactor over epoll, without a context of the log for each event.

For each socket that is ready, Twisted's reactor makes a context with the name of who
reads it, for events of `twisted.python.log`. They are Twisted's older log, in which
regbroker writes nothing. To make this context is a fifteenth of what a ping takes.
"""

from __future__ import annotations

from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger

_log = Logger()


class ContextFreeReactor(EPollReactor):
    """A reactor that calls who reads and writes without anything around it."""

    def doPoll(self, timeout: float | None) -> None:
        """Wait for so many seconds, None is without end, and serve what is ready."""
        ready = self._poller.poll(
            -1 if timeout is None else timeout, len(self._selectables)
        )
        for descriptor, event in ready:
            selectable = self._selectables.get(descriptor)
            if selectable is None:
                # Closed by who was called before.
                continue
            try:
                self._doReadOrWrite(selectable, descriptor, event)
            except Exception:
                # What reading and writing raise ends the connection, and this is the
                # end of one. The others are served.
                _log.failure("while a connection ended")

    doIteration = doPoll
