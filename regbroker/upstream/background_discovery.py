"""
Discovery in the background: at the start, every ten minutes, and after failures.

After a failure the pause grows; ``Retry-After`` of the upstream makes it longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regbroker.errors import HTTPError
from regbroker.protocol.retry_after import wait_told
from regbroker.upstream.circuit_breaker import LONGEST_OPEN_SECONDS

#: Realms change when a registry moves, which happens in hours.
REDISCOVER_SECONDS = 600.0

#: After a failure: at once nearly, then ever slower up to a minute.
FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 60.0

_log = Logger()


class BackgroundDiscovery:
    """
    Calls `discover` again and again.

    `name` is the upstream's section; `discover` raises `HTTPError` when it fails.
    """

    def __init__(
        self,
        name: str,
        discover: Callable[[], Coroutine[Any, Any, object]],
        clock: IReactorTime,
    ) -> None:
        self._name = name
        self._discover = discover
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._is_running = False

    def start(self) -> None:
        """Call `discover` now, and later again."""
        self._is_running = True
        self._timer = None
        Deferred.fromCoroutine(self._discover()).addCallbacks(
            self._again_later, self._retry_later
        )

    def stop(self) -> None:
        """Call it no more; a call under way is the caller's to cancel."""
        self._is_running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again_later(self, _: object) -> None:
        if not self._is_running:
            return
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._timer = self._clock.callLater(REDISCOVER_SECONDS, self.start)

    def _retry_later(self, failure: Failure) -> None:
        # A call that is cancelled while it connects may fail like a lost connection.
        if not self._is_running or failure.check(CancelledError):
            return
        seconds = self._retry_seconds
        error: Any = failure.value
        retry_after = isinstance(error, HTTPError) and wait_told(error, time.time())
        if retry_after:
            seconds = max(seconds, min(retry_after, LONGEST_OPEN_SECONDS))
        _log.warn(
            "[upstream {name}]: {problem}; asking again in {seconds:g} s",
            name=self._name,
            problem=failure.getErrorMessage(),
            seconds=seconds,
        )
        self._timer = self._clock.callLater(seconds, self.start)
        self._retry_seconds = min(self._retry_seconds * 2, LAST_RETRY_SECONDS)
