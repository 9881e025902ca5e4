"""``Retry-After`` (RFC 9110, 10.2.3): how long to wait before the next request."""

from __future__ import annotations

import re
from datetime import timezone
from email.utils import parsedate_to_datetime

from regbroker.errors import HTTPError
from regbroker.protocol.headers import Header

_NAME = b"Retry-After"


def retry_after(seconds: float) -> Header:
    """Return the header for a wait; it is in whole seconds, and one at least."""
    return _NAME, b"%d" % max(round(seconds), 1)


def passed_on(value: bytes | None) -> list[Header]:
    """Return the header with the value that somebody else has sent, if any."""
    return [(_NAME, value)] if value else []


def parse_retry_after(text: str | None, now: float) -> float | None:
    """
    Return the value of a header in seconds from now; None when it has no meaning.

    It is a number of seconds, or a date. `now` is in seconds since 1970.
    """
    text = (text or "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(moment.timestamp() - now, 0.0)


def wait_told(error: HTTPError, now: float) -> float | None:
    """Return in how many seconds an error says to come again; None without that."""
    return parse_retry_after(error.header(_NAME), now)
