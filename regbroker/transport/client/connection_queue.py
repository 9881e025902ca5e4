"""
Requests that wait for a connection: a new one, or one that is free first.

A new connection costs more than most requests, with its handshake and the memory that
both sides keep for it. So when many requests come at once, a few connections are opened
at a time, and a request takes whichever is there first: one that was opened, or one
whose request is over. The more requests are slow, the more connections there will be.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

C = TypeVar("C")

#: Connections that are opened at once. A far server takes 0.1 to 0.2 s for each, so
#: hundreds of long downloads may begin within a few seconds.
MAX_OPENING = 8


class ConnectionQueue(Generic[C]):
    """
    Those who wait; `connect` opens a connection, which `opened` gets.

    `opened` is to `offer` it. `waiting` has those who wait, in their order, and since
    when. An error is that of who waits longest, and of all who
    have waited for `patience`, in seconds of `seconds`: nobody waits for one attempt
    after the other.
    """

    def __init__(
        self,
        connect: Callable[[], Coroutine[Any, Any, C]],
        opened: Callable[[C], object],
        seconds: Callable[[], float],
        patience: float,
    ) -> None:
        self._connect = connect
        self._opened = opened
        self._seconds = seconds
        self._patience = patience
        self.waiting: dict[Deferred[C], float] = {}
        self._opening: list[Deferred[C]] = []

    def get(self) -> Deferred[C]:
        """Wait for a connection; a caller that is cancelled leaves the queue."""
        waiting: Deferred[C] = Deferred(self._leave)
        self.waiting[waiting] = self._seconds()
        self._open()
        return waiting

    def open_ahead(self, count: int) -> None:
        """
        Open connections that nobody waits for yet, until so many are being opened.

        Whoever waits first gets the first of them.
        """
        for _ in range(min(MAX_OPENING, count) - len(self._opening)):
            self._attempt()

    def offer(self, connection: C) -> bool:
        """Give a connection to who waits longest; tell whether somebody does."""
        for waiting in self.waiting:
            del self.waiting[waiting]
            waiting.callback(connection)
            return True
        return False

    def give_up(self) -> None:
        """Open no connection that nobody waits for."""
        unwanted = self._opening[len(self.waiting) :]
        # What comes of them is nobody's affair: endpoints have errors of their own for
        # what was cancelled, which are no CancelledError.
        del self._opening[len(self.waiting) :]
        for attempt in unwanted:
            attempt.cancel()

    def _open(self) -> None:
        """Open connections for those who wait."""
        while len(self._opening) < min(MAX_OPENING, len(self.waiting)):
            self._attempt()

    def _attempt(self) -> None:
        attempt = Deferred.fromCoroutine(self._connect())

        def opened(connection: C) -> None:
            self._is_wanted(attempt)
            self._opened(connection)

        def failed(failure: Failure) -> None:
            if self._is_wanted(attempt):
                self._fail(failure)

        self._opening.append(attempt)
        attempt.addCallbacks(opened, failed)
        attempt.addCallback(lambda _: self._open())

    def _is_wanted(self, attempt: Deferred[C]) -> bool:
        """Forget an attempt that is over; tell whether it was not given up."""
        if attempt not in self._opening:
            return False
        self._opening.remove(attempt)
        return True

    def _fail(self, failure: Failure) -> None:
        since = self._seconds() - self._patience
        for number, (waiting, began) in enumerate(list(self.waiting.items())):
            # Whoever hears of it may have others leave.
            if waiting in self.waiting and (number == 0 or began <= since):
                del self.waiting[waiting]
                waiting.errback(failure)

    def _leave(self, waiting: Deferred[C]) -> None:
        del self.waiting[waiting]
        self.give_up()
