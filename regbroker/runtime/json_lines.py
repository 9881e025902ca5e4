"""
Log events as JSON, one object on each line, for programs that collect logs.

Each object has `time` (ISO 8601, UTC), `level`, `namespace` and `message`, and the
event's own fields as far as they are texts, numbers or booleans. A failure has its
`traceback`. Everything is ASCII, so that no reader sees more lines than there are.
"""

from __future__ import annotations

import json
import math
import re
import time
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure

from regbroker.events import NAMESPACE, Event

#: journald splits lines beyond 48 KiB, and halves of a JSON object are no JSON. A
#: character may become six.
MAX_TEXT = 2048
MAX_TRACEBACK = 16384
MAX_NUMBER = 1 << 63
MAX_LINE = 48 * 1024 - 1

#: What Twisted itself keeps in an event, and what says again what other fields say.
_NOT_FIELDS = frozenset(
    {
        "debug",
        "event",
        "failure",
        "format",
        "isError",
        "line",
        "printed",
        "summary",
        "system",
        "why",
    }
)

_encode = json.JSONEncoder().encode

_SURROGATE = re.compile("[\ud800-\udfff]")


def json_line(event: LogEvent) -> str:
    """
    Return a log event as a line with one JSON object.

    The message of an event that has a `summary` is that: its fields say the rest.
    """
    level = event.get("log_level")
    document: dict[str, Any] = {
        "time": _iso_time(event.get("log_time")),
        "level": level.name if level is not None else "info",
        "namespace": event.get("log_namespace"),
        "message": _text(str(event.get("summary") or formatEvent(event)), MAX_TEXT),
    }
    for name, value in event.items():
        if name not in document and name not in _NOT_FIELDS and name[:4] != "log_":
            if isinstance(value, str):
                document[name] = _text(value, MAX_TEXT)
            elif value is None or _is_number(value):
                document[name] = value
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        # The end says what has happened.
        document["traceback"] = _text(failure.getTraceback()[-MAX_TRACEBACK:])
    line = _encode(document)
    if len(line) > MAX_LINE:
        line = _encode(_shortened(document))
    return line + "\n"


def json_record(event: Event, **more: object) -> str:
    """
    Return the line of a request's record, as of the log event of `emit`; with `more`.

    If there is nothing odd in its fields, it is made in one step.
    """
    now, fields = time.time(), {**event.fields(), **more}
    line = _encode(
        {
            "time": _iso_time(now),
            "level": "info",
            "namespace": NAMESPACE,
            "message": event.summary,
            **fields,
        }
    )
    # No text in it is longer, and each of them is ASCII.
    if len(line) <= MAX_TEXT and "\\u" not in line:
        return line + "\n"
    about = {"log_time": now, "log_level": LogLevel.info, "log_namespace": NAMESPACE}
    return json_line({**about, "summary": event.summary, **fields})


def _is_number(value: object) -> bool:
    """Tell whether all readers of JSON take a value as a number, or as a boolean."""
    if isinstance(value, int):
        return abs(value) < MAX_NUMBER
    return isinstance(value, float) and math.isfinite(value)


def _iso_time(seconds: float | None) -> str:
    whole, thousandths = divmod(
        int((time.time() if seconds is None else seconds) * 1000), 1000
    )
    return f"{_iso_second(whole)}.{thousandths:03d}Z"


@lru_cache(maxsize=1)
def _iso_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def _text(text: str, most: int | None = None) -> str:
    if text.isascii():
        return text[:most]
    # Half of a character is nothing that all readers of JSON take.
    return _SURROGATE.sub("\ufffd", text[:most])


def _shortened(document: dict[str, Any]) -> dict[str, Any]:
    """Return the same with texts so short that it fits, and without many fields."""
    pairs = list(document.items())[:32]
    return {
        name: value[-200:] if isinstance(value, str) else value for name, value in pairs
    }
