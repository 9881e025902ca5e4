"""
Attempts: requests whose end opens or closes the circuit of an upstream.

How one ends is noted, and told to the operator, in one place: for registries and
for token services. That a client's request fails may be its own fault: some servers
close the connection on a User-Agent that they do not like. So before all others go
elsewhere for it, a request of our own looks whether the upstream answers.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regbroker.errors import HTTPError, TooManyRequests
from regbroker.protocol.retry_after import wait_told
from regbroker.upstream.circuit_breaker import CircuitBreakers

_log = Logger()


class Attempt:
    """
    One request that is made now.

    `what` is who is asked, for people; `circuits` are its circuit breakers, and
    `account` is the account that it sees (`CircuitBreakers`). `check` asks
    the same server for something of our own; raises `HTTPError` when that fails, too.
    `clock` is the reactor; `now` returns seconds since 1970.
    """

    def __init__(
        self,
        what: str,
        circuits: CircuitBreakers,
        account: str,
        check: Callable[[], Coroutine[Any, Any, object]],
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self._what = what
        self._circuits = circuits
        self._account = account
        self._check = check
        self._clock = clock
        self._now = now
        self._started: float = clock.seconds()

    def answered(self) -> None:
        """Note an answer, whatever it says."""
        if self._circuits.succeeded(self._account, self._started):
            _log.info("{what}: answers again", what=self._what)

    def abandoned(self) -> None:
        """Note that its end is not known: the client has left, for example."""
        self._circuits.abandoned(self._account, self._started)

    def failed(self, failure: HTTPError, is_own: bool = False) -> None:
        """
        Note a failure: it opens the circuit, unless that is open already.

        `is_own` says that it is about this account alone, as a limit (429) is. Else
        it is checked before it counts.
        """
        if is_own or failure.status == TooManyRequests.status:
            self._note(failure, is_own)
        else:
            checking = Deferred.fromCoroutine(self._checked(failure))
            checking.addErrback(lambda reason: _log.failure("", reason))

    async def _checked(self, failure: HTTPError) -> None:
        """Note a failure if a request of our own fails as well."""
        started = self._clock.seconds()
        try:
            await self._check()
        except TooManyRequests:
            # It answers, and not to us.
            self.abandoned()
        except HTTPError:
            self._note(failure, is_own=False)
        except CancelledError:
            self.abandoned()
        else:
            self._started = max(self._started, started)
            self.answered()

    def _note(self, failure: HTTPError, is_own: bool) -> None:
        retry_after = wait_told(failure, self._now())
        seconds = self._circuits.failed(
            self._account, failure.status, retry_after, self._started, is_own
        )
        if seconds is not None:
            self._circuits.tripped(failure.message)
            _log.warn(
                "{what}: {status}, {problem}; resting for {seconds:g} s",
                what=self._what,
                status=failure.status,
                problem=failure.message,
                seconds=seconds,
            )
