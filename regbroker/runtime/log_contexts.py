"""
The name under which Twisted's log shows what comes of a connection.

The reactor calls whoever has something to read or write within a context
(`twisted.python.context`) that has this name. Twisted's own tracker of contexts asks
another one, that of the thread, in each of these steps.
"""

from __future__ import annotations

from threading import local

from twisted.python.context import ContextTracker, installContextTracker


class ThreadContexts(local, ContextTracker):
    """The contexts of each thread, without another tracker between."""

    def currentContext(self) -> ContextTracker:
        """Return the contexts of this thread; Twisted's thread pools ask for them."""
        return self


def track_contexts() -> None:
    """Have Twisted keep its contexts in fewer steps; for the whole process."""
    installContextTracker(ThreadContexts())
