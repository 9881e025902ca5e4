"""
The log of the workers: the process in front writes it.

So it is one log, with one format, however it is written and whenever its file is opened
anew. An event that is the record of a request is sent as a list of what it consists of:
Twisted's own form costs more than many a request does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    eventAsJSON,
    eventFromJSON,
    globalLogPublisher,
)
from zope.interface import provider

#: What is in a record beside its own fields. The object that it was made of stays here.
_NOT_FIELDS = frozenset({"line", "summary", "event"})

_encode = json.JSONEncoder().encode


def sender(send: Callable[[str], object]) -> ILogObserver:
    """Return an observer that sends each event as a text."""

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        send(_record(event) if "summary" in event else eventAsJSON(event))

    return cast(ILogObserver, observe)


def write(text: str, worker: int) -> None:
    """Write an event of a worker; its number becomes a field."""
    if text.startswith("["):
        event = _recorded(*json.loads(text))
    else:
        event = eventFromJSON(text)
    event["worker"] = worker
    globalLogPublisher(event)


def _record(event: LogEvent) -> str:
    fields = {
        name: value
        for name, value in event.items()
        if name[:4] != "log_" and name not in _NOT_FIELDS
    }
    about = event["log_namespace"], event["log_time"], event["line"], event["summary"]
    return _encode([*about, fields])


def _recorded(
    namespace: str, time: float, line: str, summary: str, fields: dict[str, object]
) -> LogEvent:
    return {
        **fields,
        "line": line,
        "summary": summary,
        "log_level": LogLevel.info,
        "log_namespace": namespace,
        "log_format": "{line}",
        "log_time": time,
    }
