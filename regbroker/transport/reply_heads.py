"""
The head of a reply, written from a list of header fields in one step.

RFC 9112, 2.1 and 11.1: a field's value that brought a line end along would end the head
early, or begin another reply. Such a line end becomes a space here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

from twisted.web.http import datetimeToString

from regbroker.protocol.headers import Header

#: RFC 9110, 6.4.1: replies that end with their head, whatever they say.
WITHOUT_BODY = frozenset({204, 304})


@lru_cache(maxsize=128)
def reason_phrase(status: int) -> bytes:
    """Return the standard reason phrase of a status, or nothing."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


@lru_cache(maxsize=256)
def _status_line(version: bytes, status: int) -> bytes:
    return b"%b %d %b" % (version, status, reason_phrase(status))


def date() -> bytes:
    """Return the time as a ``Date`` has it."""
    return _date(int(time.time()))


@lru_cache(maxsize=1)
def _date(seconds: int) -> bytes:
    text: bytes = datetimeToString(seconds)
    return text


def reply_head(version: bytes, status: int, fields: Sequence[Header]) -> bytes:
    """Return status line and fields, in order, with the empty line behind them."""
    lines = [_status_line(version, status)]
    lines += [b"%b: %b" % field for field in fields]
    lines.append(b"\r\n")
    head = b"\r\n".join(lines)
    if head.count(b"\n") == head.count(b"\r") == len(lines):
        return head
    return reply_head(version, status, [_on_one_line(field) for field in fields])


def _on_one_line(field: Header) -> Header:
    name, value = (
        part.replace(b"\r\n", b" ").replace(b"\r", b" ").replace(b"\n", b" ")
        for part in field
    )
    return name, value
