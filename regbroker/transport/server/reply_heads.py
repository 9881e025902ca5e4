"""
The head of a reply, written from a list of header fields in one step.

Every reply carries ``Server`` and ``Docker-Distribution-Api-Version``, as docker's
clients expect of anything that calls itself a registry.

RFC 9112, 2.1 and 11.1: a field's value that brought a line end along would end the head
early, or begin another reply. Such a line end becomes a space here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

from twisted.web.http import datetimeToString

from regbroker.protocol.by_name import ByName

API_VERSION = (b"Docker-Distribution-Api-Version", b"registry/2.0")
SERVER = (b"Server", b"regbroker")

#: What tells a client which line of the log is about its request.
REQUEST_ID = b"X-Request-ID"

#: As numbers: to look for one of them takes a third of what `find` takes.
_CR, _LF = b"\r\n"

#: RFC 9110, 6.4.1: replies that end with their head, whatever they say.
WITHOUT_BODY = frozenset({204, 304})

#: What a reply has once, and nobody else says: names in lower case.
OURS = frozenset({b"date", SERVER[0].lower(), API_VERSION[0].lower()})

#: What is said of a body, in lower case.
OF_A_BODY = frozenset({b"content-type", b"content-length"})

_SPECIAL = OURS | OF_A_BODY | {b"connection"}

#: Names that the writer of a head looks at, in lower case, by names in whatever case;
#: None for those whose fields are sent as they are.
SPECIAL = ByName(lambda name: name.lower() if name.lower() in _SPECIAL else None)


@lru_cache(maxsize=128)
def reason_phrase(status: int) -> bytes:
    """Return the standard reason phrase of a status, or nothing."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


def date() -> bytes:
    """Return the time as a ``Date`` has it."""
    return _date(int(time.time()))


@lru_cache(maxsize=1)
def _date(seconds: int) -> bytes:
    text: bytes = datetimeToString(seconds)
    return text


@lru_cache(maxsize=256)
def _beginning(version: bytes, status: int, seconds: int) -> bytes:
    """Return the lines with which all replies of one second and status begin."""
    return b"\r\n".join(
        (
            b"%b %d %b" % (version, status, reason_phrase(status)),
            b"Date: " + _date(seconds),
            b"%b: %b" % SERVER,
            b"%b: %b" % API_VERSION,
        )
    )


def reply_head(version: bytes, status: int, fields: Sequence[bytes]) -> bytes:
    """
    Return a reply's head: what every reply carries, then these fields, in order.

    Each of `fields` is ``NAME: VALUE``.
    """
    text = b"".join(fields)
    if _LF in text or _CR in text:
        fields = [_on_one_line(field) for field in fields]
    beginning = _beginning(version, status, int(time.time()))
    return b"\r\n".join((beginning, *fields, b"\r\n"))


def _on_one_line(field: bytes) -> bytes:
    return field.replace(b"\r\n", b" ").replace(b"\r", b" ").replace(b"\n", b" ")
