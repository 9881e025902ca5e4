"""Who counts wrong passwords: this process, or one that does it for several."""

from __future__ import annotations

import time
from typing import Protocol

from regbroker.accounts.throttle import Throttle, Verdict


class Throttling(Protocol):
    """
    What `regbroker.accounts.throttle.Throttle` does, wherever it is.

    A method raises `AccountsUnavailable` when that cannot be reached.
    """

    async def before(self, address: str, user: str) -> Verdict:
        """Decide about an attempt."""

    async def refusal(self, address: str, user: str) -> int | None:
        """Return in how many seconds an attempt may come, or None for now."""

    async def is_good(self, address: str, user: str) -> bool:
        """Tell whether the user has logged in from there lately."""

    async def failed(self, address: str, user: str) -> None:
        """Count a wrong password."""

    async def forgive(self, address: str, user: str) -> None:
        """Take back a failure that was none."""

    async def succeeded(self, address: str, user: str) -> None:
        """Remember that the user works there."""


class LocalThrottling(Throttling):
    """Counts in this process, and for it alone."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    async def before(self, address: str, user: str) -> Verdict:
        return self._throttle.before(address, user)

    async def refusal(self, address: str, user: str) -> int | None:
        return self._throttle.refusal(address, user)

    async def is_good(self, address: str, user: str) -> bool:
        return self._throttle.is_good(address, user)

    async def failed(self, address: str, user: str) -> None:
        self._throttle.failed(address, user)

    async def forgive(self, address: str, user: str) -> None:
        self._throttle.forgive(address, user)

    async def succeeded(self, address: str, user: str) -> None:
        self._throttle.succeeded(address, user)


def local_throttling(_: str) -> Throttling:
    """Return what counts for one ``[accounts NAME]`` of a process that is alone."""
    return LocalThrottling(Throttle(time.monotonic))
