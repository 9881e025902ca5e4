"""
Log events as lines for people, as Twisted writes them.

Twisted's own observer formats each event by its general rules, which is a part of what
a short request costs. Here an event that brings its `line` is written with one format.
"""

from __future__ import annotations

import time
from functools import lru_cache

from twisted.logger import LogEvent, formatEventAsClassicLogText, formatTime

from regbroker.events import NAMESPACE, Event

#: Where the records of requests come from, as Twisted writes it.
_RECORD = f"{NAMESPACE}#info"


def text_line(event: LogEvent) -> str | None:
    """Return an event with its time, where it comes from, and its text."""
    if event.get("log_format") != "{line}" or "log_system" in event:
        return formatEventAsClassicLogText(event)
    second = int(event.get("log_time") or time.time())
    system = f"{event['log_namespace']}#{event['log_level'].name}"
    return f"{_time_of(second)} [{system}] {event['line']}\n"


def text_record(event: Event) -> str:
    """Return the line of a request's record, as of the log event of `emit`."""
    return f"{_time_of(int(time.time()))} [{_RECORD}] {event.line()}\n"


@lru_cache(maxsize=1)
def _time_of(second: int) -> str:
    return formatTime(second)
