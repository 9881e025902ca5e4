"""Transfers under way: how far each one is, and how fast it goes now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from regbroker.events import Event
from regbroker.web.serving import Progress

#: A rate is that of this time at least, in seconds: bytes come in bursts.
SAMPLE_SECONDS = 1.0

_SENDING = frozenset({"PUT", "PATCH", "POST"})


@dataclass(frozen=True)
class Transfer:
    """
    A request under way; `is_push` when the client sends.

    `done` and `total` are bytes of the body that is sent, and `rate` is in bytes per
    second. `total` is None where nobody knows it.
    """

    event: Event
    is_push: bool
    done: int
    total: int | None
    rate: float


@dataclass
class _Sample:
    """The event that a rate is of; bytes at a time, and the rate until then."""

    event: Event
    at: float
    done: int
    rate: float | None = None


class TransferRates:
    """Remembers how far transfers were; `now` returns seconds on the events' clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._samples: dict[int, _Sample] = {}

    def transfers(self, under_way: Iterable[Progress]) -> list[Transfer]:
        """Return the transfers of these requests; forgets all others."""
        before, self._samples = self._samples, {}
        return [self._transfer(one, before) for one in under_way]

    def _transfer(self, progress: Progress, before: dict[int, _Sample]) -> Transfer:
        event = progress.event
        is_push = event.method in _SENDING
        done = progress.bytes_in if is_push else progress.bytes_out
        total = progress.length_in if is_push else progress.length_out
        sample = before.get(id(event)) or _Sample(event, event.started, 0)
        seconds = self._now() - sample.at
        if seconds >= SAMPLE_SECONDS:
            rate = (done - sample.done) / seconds
            sample = _Sample(event, self._now(), done, rate)
        self._samples[id(event)] = sample
        rate = sample.rate or 0.0
        if sample.rate is None and seconds > 0:
            rate = done / seconds
        return Transfer(event, is_push, done, total, rate)
