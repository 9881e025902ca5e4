"""
Coroutines that mostly do not have to wait.

`Deferred.fromCoroutine` makes a Deferred, a context and callbacks for a coroutine
before its first step. Most requests are answered within that step, and most others
wait once. So the coroutine of a request is driven here. Elsewhere, a coroutine that
others wait for is a Deferred.

What such a coroutine waits for is a Deferred or a `regbroker.runtime.outcome.Outcome`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regbroker.runtime.outcome import Outcome


class Waiting:
    """
    A coroutine that waits, for one Deferred or `Outcome` after the other.

    `ended` is called once, with what the coroutine returns, or a Failure of what it
    raises.
    """

    #: What it waits for, or has waited for last.
    _awaited: Deferred[Any] | Outcome[Any]

    def __init__(
        self, work: Coroutine[Any, Any, Any], ended: Callable[[Any], object]
    ) -> None:
        self._work = work
        self._ended = ended

    def cancel(self) -> None:
        """Cancel what the coroutine waits for; it goes on with what comes of that."""
        self._awaited.cancel()

    def wait(self, awaited: Deferred[Any] | Outcome[Any]) -> None:
        """Go on with the coroutine when this has ended."""
        self._awaited = awaited
        awaited.addBoth(self._go_on)

    def _go_on(self, result: object) -> None:
        try:
            if isinstance(result, Failure):
                awaited = result.throwExceptionIntoGenerator(self._work)
            else:
                awaited = self._work.send(result)
        except StopIteration as end:
            outcome = end.value
        except BaseException:
            outcome = Failure()
        else:
            self.wait(awaited)
            return
        # `ended` may refer to this, and the traceback of a Failure to this frame: all
        # would wait for the garbage collector.
        ended = self._ended
        del self._ended, result
        try:
            ended(outcome)
        finally:
            del outcome


def begin(
    work: Coroutine[Any, Any, Any], ended: Callable[[Any], object]
) -> Waiting | None:
    """
    Run a coroutine until it is over or has to wait.

    Return None when it is over, without a call of `ended`; raises what it raises. If it
    has to wait, return a `Waiting`, which calls `ended`.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    waiting = Waiting(work, ended)
    waiting.wait(awaited)
    return waiting
