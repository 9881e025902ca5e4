"""
What one coroutine waits for, without a Deferred where it can do without.

A Deferred that is made, waited for and fired costs more than any function on the way
of a request. What waits for an `Outcome` takes fewer steps where
`regbroker.runtime.at_once` drives it; whatever else drives it gets a Deferred.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")

_log = Logger()

#: The result of what has not ended.
_NONE_YET: Any = object()


class Outcome(Generic[T]):
    """
    The result of work that is under way: a value or an error, for one who waits.

    The work is the subclass's, which calls `end`, and stops when `give_up` is called.
    """

    _result: Any = _NONE_YET
    _told: Callable[[Any], object] | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        """Wait for the result; raises the error."""
        result = self._result
        if result is _NONE_YET:
            result = yield self
            if result is self:
                # Twisted's drivers send back what is no Deferred.
                result = yield self.deferred()
        elif isinstance(result, Failure):
            result.raiseException()
        awaited: T = result
        return awaited

    def addBoth(self, told: Callable[[Any], object]) -> None:
        """
        Call `told` once, with the value or a Failure.

        It is called as a Deferred's method is, for who waits for either.
        """
        if self._result is _NONE_YET:
            self._told = told
        else:
            told(self._result)

    def deferred(self) -> Deferred[T]:
        """Return the same as a Deferred; to cancel that is to cancel this."""
        fired: Deferred[T] = Deferred(lambda _: self.cancel())
        self.addBoth(fired.callback)
        return fired

    def cancel(self) -> None:
        """End the work now, with `CancelledError`, unless it has ended."""
        if self._result is _NONE_YET:
            self.give_up()
            self.end(Failure(CancelledError()))

    def give_up(self) -> None:
        """Stop the work; its end is not told any more."""
        raise NotImplementedError

    @property
    def has_ended(self) -> bool:
        """Whether there is a result."""
        return self._result is not _NONE_YET

    def end(self, result: T | Failure) -> None:
        """Note the result, once, and tell who waits."""
        self._result = result
        told, self._told = self._told, None
        if told is not None:
            try:
                told(result)
            except Exception:
                # It is no affair of the work's, which may have more to do.
                _log.failure("waiting for a result")
