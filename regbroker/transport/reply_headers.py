"""
Headers of a reply that are none, refused before anybody behind us sees them.

RFC 9110, 5.5: a control character in a value is invalid, and some clients would see
two headers in it.
"""

from __future__ import annotations

from typing import Any

from regbroker.protocol.fields import is_sound, shown


class UnsoundHeader(Exception):
    """A header of a reply, whose name this carries, has a control character."""


def check_as_they_come(parser: Any) -> None:
    """
    Make an `HTTPClientParser` raise `UnsoundHeader` at such a header.

    Later is too late for some: Twisted makes spaces of the ends of lines in a value,
    and takes what it calls white space from both sides of it.
    """
    take = parser.lineReceived

    def line_received(line: bytes) -> None:
        if parser.state == "HEADER" and not is_sound(line.removesuffix(b"\r")):
            raise UnsoundHeader(shown(line.partition(b":")[0]))
        take(line)

    parser.lineReceived = line_received
