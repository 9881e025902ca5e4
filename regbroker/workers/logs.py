"""
The log of the workers: the process in front writes it.

So it is one log, with one format, however it is written and whenever its file is opened
anew. Twisted's own form of an event costs more than many a request does. So the record
of a request is sent as the line that it is in the log, and what comes within
`GATHER_SECONDS` goes in one message. Where only the process in front knows what becomes
of a record, it is sent as a list of values, whose names stand once in a message: for
the audit log, and where twistd is told to have a log of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    eventAsJSON,
    eventFromJSON,
    globalLogPublisher,
)
from zope.interface import implementer

from regbroker import audit
from regbroker.events import Event, emit
from regbroker.runtime.json_lines import json_line, json_record
from regbroker.runtime.text_lines import text_line, text_record

#: What makes a line of an event, by the value of `log-format`.
_FORMATS: Mapping[str, Callable[[LogEvent], str | None]] = {
    "line": text_line,
    "json": json_line,
}

#: The names of a record that is sent as a line.
_LINE: tuple[str, ...] = ()

#: What is in a record beside its own fields. The object that it was made of stays here.
_NOT_FIELDS = frozenset({"line", "summary", "event"})

#: What stands before the fields in a list of values.
_ABOUT = ("log_namespace", "log_time", "line", "summary")

#: How long a record waits for others at most, in seconds. What waits is lost with a
#: worker that is killed.
GATHER_SECONDS = 0.02

#: Records that are sent at once, however quickly they come.
MOST_RECORDS = 256


@implementer(ILogObserver)
class Sender:
    """
    Sends events to who writes them: as texts, and records in documents of JSON.

    Such a document has `names` and `rows`: lists of values, or lines without any names.
    A record waits until `later` calls what it is given. Any other event is sent at
    once, after those that wait.
    """

    def __init__(
        self,
        send: Callable[[list[Any]], object],
        later: Callable[[Callable[[], object]], object],
    ) -> None:
        self._send = send
        self._later = later
        self._gathered: list[Any] = []
        self._names: tuple[str, ...] | None = None
        self._rows: list[object] = []
        self._is_due = False
        self._line_of: Callable[[LogEvent], str | None] | None = None
        self._worker = 0

    def make_lines(self, log_format: str, worker: int) -> None:
        """
        Send records of requests as lines, with a worker's number, from now on.

        `log_format` is a value of `log-format`, or empty where lines are not wanted.
        """
        self._line_of = _FORMATS[log_format] if log_format else None
        self._worker = worker

    @property
    def log_request(self) -> Callable[[Event], None]:
        """What logs a request that is over; where that is a line, no log event."""
        line_of, worker = self._line_of, self._worker
        if line_of is text_line:
            return lambda event: self._gather(_LINE, text_record(event))
        if line_of is json_line:
            return lambda event: self._gather(_LINE, json_record(event, worker=worker))
        return emit

    def __call__(self, event: LogEvent) -> None:
        """Send an event, now or soon."""
        if "summary" not in event:
            self._gathered.append(eventAsJSON(event))
            self.flush()
            return
        if self._line_of is None or event["log_namespace"] == audit.NAMESPACE:
            names, values_of = _shape(tuple(event))
            self._gather(names, values_of(event))
        else:
            event["worker"] = self._worker
            self._gather(_LINE, self._line_of(event) or "")

    def _gather(self, names: tuple[str, ...], row: object) -> None:
        """Send a record that has these names, soon."""
        if names is not self._names:
            self._names, self._rows = names, []
            self._gathered.append({"names": names, "rows": self._rows})
        self._rows.append(row)
        if len(self._rows) >= MOST_RECORDS:
            self.flush()
        elif not self._is_due:
            self._is_due = True
            self._later(self._in_time)

    def flush(self) -> None:
        """Send what waits."""
        gathered, self._gathered, self._names = self._gathered, [], None
        if gathered:
            self._send(gathered)

    def _in_time(self) -> None:
        self._is_due = False
        self.flush()


@lru_cache(maxsize=8)
def _shape(
    keys: tuple[str, ...],
) -> tuple[tuple[str, ...], Callable[[LogEvent], tuple[Any, ...]]]:
    """Return the names of a record's fields, and what makes a list of its values."""
    names = tuple(k for k in keys if k[:4] != "log_" and k not in _NOT_FIELDS)
    return names, itemgetter(*_ABOUT, *names)


def write(events: Iterable[Any], worker: int) -> None:
    """
    Write events of a worker, as they were sent; its number becomes a field.

    Lines are the `lines` of one event, whoever has sent how many.
    """
    for sent in events:
        if isinstance(sent, str):
            event = eventFromJSON(sent)
            event["worker"] = worker
            globalLogPublisher(event)
            continue
        names = sent["names"]
        if not names:
            globalLogPublisher(
                {
                    "lines": "".join(sent["rows"]),
                    "summary": "",
                    "log_level": LogLevel.info,
                    "log_namespace": __name__,
                    "log_format": "{lines}",
                    "log_time": time.time(),
                }
            )
            continue
        for namespace, logged, line, summary, *values in sent["rows"]:
            globalLogPublisher(
                {
                    **dict(zip(names, values, strict=True)),
                    "line": line,
                    "summary": summary,
                    "log_level": LogLevel.info,
                    "log_namespace": namespace,
                    "log_format": "{line}",
                    "log_time": logged,
                    "worker": worker,
                }
            )
