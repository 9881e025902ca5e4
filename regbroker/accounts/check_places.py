"""Places for password checks that wait: so many in all, and so many for one address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from regbroker.errors import TooManyRequests
from regbroker.protocol.addresses import place_of
from regbroker.protocol.retry_after import retry_after


class CheckPlaces:
    """Places for those who wait, some of them for one address at most."""

    def __init__(self, size: int, share: int) -> None:
        self._size = size
        self._share = share
        self._taken: Counter[str] = Counter()

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Hold a place; raises `TooManyRequests` when there is none."""
        place = place_of(address)
        if self._taken.total() >= self._size or self._taken[place] >= self._share:
            raise too_many("too many passwords are being checked", 1)
        self._taken[place] += 1
        try:
            yield
        finally:
            self._taken[place] -= 1
            if not self._taken[place]:
                del self._taken[place]


def too_many(message: str, seconds: int) -> TooManyRequests:
    """Return the refusal of a check that may be tried again in `seconds`."""
    return TooManyRequests(
        f"{message}; try again in {seconds} s", headers=[retry_after(seconds)]
    )
