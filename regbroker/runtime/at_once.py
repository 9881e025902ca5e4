"""
Coroutines that mostly do not have to wait.

`Deferred.fromCoroutine` makes a Deferred, a context and callbacks for a coroutine
before its first step. Most requests are answered within that step, and most others
wait once. So the coroutine of a request is driven here. Elsewhere, a coroutine that
others wait for is a Deferred.

What such a coroutine waits for is a Deferred or a `regbroker.runtime.outcome.Outcome`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regbroker.runtime.outcome import Outcome


class Driven:
    """
    A coroutine that is driven until its end, which the subclass is told once.

    It waits for one Deferred or `Outcome` after the other.
    """

    #: What it waits for; None before the first one, and after the end.
    awaited: Deferred[Any] | Outcome[Any] | None
    _coroutine: Coroutine[Any, Any, object]

    def returned(self, value: Any) -> None:
        """Take note of what the coroutine has returned."""
        raise NotImplementedError

    def raised(self, error: BaseException) -> None:
        """Take note of what it has raised."""
        raise NotImplementedError

    def begin(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine until it is over or has to wait."""
        self._coroutine = coroutine
        self.awaited = None
        self._go_on(None)

    def cancel(self) -> None:
        """Cancel what the coroutine waits for; it goes on with what comes of that."""
        if self.awaited is not None:
            self.awaited.cancel()

    def _go_on(self, result: object) -> None:
        """Go on with what was waited for: a value or a Failure."""
        try:
            if isinstance(result, Failure):
                awaited = result.throwExceptionIntoGenerator(self._coroutine)
            else:
                awaited = self._coroutine.send(result)
        except StopIteration as end:
            value = end.value
        except BaseException as error:
            # The error's traceback refers to this frame: all of it would wait for the
            # garbage collector.
            self.awaited = result = None
            self.raised(error)
            return
        else:
            self.awaited = awaited
            awaited.addBoth(self._go_on)
            return
        self.awaited = None
        self.returned(value)
