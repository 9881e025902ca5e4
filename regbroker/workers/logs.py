"""
The log of the workers: the process in front writes it.

So it is one log, with one format, however it is written and whenever its file is opened
anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.logger import (
    ILogObserver,
    LogEvent,
    eventAsJSON,
    eventFromJSON,
    globalLogPublisher,
)
from zope.interface import provider


def sender(send: Callable[[str], object]) -> ILogObserver:
    """Return an observer that sends each event as a text."""

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        send(eventAsJSON(event))

    return cast(ILogObserver, observe)


def write(text: str, worker: int) -> None:
    """Write an event of a worker; its number becomes a field."""
    event = eventFromJSON(text)
    event["worker"] = worker
    globalLogPublisher(event)
