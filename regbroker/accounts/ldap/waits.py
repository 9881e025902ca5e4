"""Waiting for a directory: each step has a time, and to close ends them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from regbroker.accounts.ldap.connection import in_vain
from regbroker.accounts.ldap.failures import unavailable

T = TypeVar("T")


class Waits:
    """
    Everything that the checks of one directory wait for.

    Each wait takes `timeout` seconds at most.
    """

    def __init__(self, clock: IReactorTime, timeout: float) -> None:
        self.is_open = False
        self._clock = clock
        self._timeout = timeout
        self._waiting: set[Deferred[Any]] = set()

    def open(self) -> None:
        """Begin."""
        self.is_open = True

    def close(self) -> None:
        """End every wait; each fails with `AccountsUnavailable`."""
        self.is_open = False
        for deferred in list(self._waiting):
            deferred.cancel()

    async def until(self, what: str, deferred: Deferred[T]) -> T:
        """
        Return the result of `deferred`.

        Raises `DirectoryError`, which names `what`, when the time is over, and
        `AccountsUnavailable` when the directory is closed; `deferred` is cancelled
        then.
        """
        waiter: Deferred[T] = Deferred(_cancel_before(deferred))
        deferred.addBoth(_unless_called(waiter))
        waiter.addTimeout(self._timeout, self._clock, in_vain(what))
        self._waiting.add(waiter)
        try:
            return await waiter
        except CancelledError:
            if self.is_open:
                raise
            raise unavailable() from None
        finally:
            self._waiting.discard(waiter)


def _cancel_before(deferred: Deferred[Any]) -> Callable[[Deferred[Any]], None]:
    # A HostnameEndpoint that is cancelled may say that there is no such host.
    def cancel(waiter: Deferred[Any]) -> None:
        waiter.errback(CancelledError())
        deferred.cancel()

    return cancel


def _unless_called(waiter: Deferred[Any]) -> Callable[[Any], None]:
    def tell(outcome: Any) -> None:
        if not waiter.called:
            waiter.callback(outcome)

    return tell
