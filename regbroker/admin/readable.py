"""Numbers, sizes and times as people read them."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def size(count: float) -> str:
    """Return a number of bytes, with three digits at most: ``12.3 MB``."""
    for unit in _UNITS:
        # What would be rounded to 1000 has the next unit.
        if count < 999.5 or unit == _UNITS[-1]:
            break
        count /= 1000
    digits = 1 if unit != "B" and count < 99.95 else 0
    return f"{count:.{digits}f} {unit}"


def rate(bytes_per_second: float) -> str:
    """Return a rate in bytes per second."""
    return f"{size(bytes_per_second)}/s"


def duration(seconds: float) -> str:
    """Return a span of time in its largest unit, or its two largest ones."""
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    days = whole // _DAY
    return f"{days} day{'s' * (days > 1)}"


def ago(seconds: float) -> str:
    """Return how long ago something was, in its largest unit."""
    whole = max(int(seconds), 0)
    for unit, length in (("day", _DAY), ("h", _HOUR), ("min", _MINUTE), ("s", 1)):
        count = whole // length
        if count:
            plural = "s" * (unit == "day" and count > 1)
            return f"{count} {unit}{plural} ago"
    return "now"
