"""
Coroutines that mostly do not have to wait.

`Deferred.fromCoroutine` makes a Deferred, a context and callbacks for a coroutine
before its first step. Most requests are answered within that step.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


def begin(work: Coroutine[Any, Any, T]) -> Deferred[T] | None:
    """
    Run a coroutine until it is over or has to wait.

    Return None when it is over; else what fires with what it returns. Raises what it
    raises before it waits.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    return Deferred.fromCoroutine(_rest(work, awaited))


def _rest(work: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """Wait for what a coroutine waits for, and pass on what comes."""
    step: Callable[[], Any]
    while True:
        try:
            step = partial(work.send, (yield awaited))
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:
            step = partial(work.throw, error)
        try:
            awaited = step()
        except StopIteration as end:
            result: T = end.value
            return result
