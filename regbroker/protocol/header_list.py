"""
The headers of one message: pairs of bytes, in order, as they are on the wire.

A reply's headers stay such a list from the upstream's bytes to the client's. Nothing is
copied or written differently on the way; names are compared in lower case.
"""

from __future__ import annotations

from regbroker.protocol.headers import Header


class HeaderList(list[Header]):
    """
    Headers by name. The names asked for are given in lower case.

    A message has about ten headers, so to look at each of them is cheaper than to
    keep them in another form as well.
    """

    __slots__ = ()

    def first(self, name: bytes) -> bytes | None:
        """Return the first value of a header; None without one."""
        for each, value in self:
            if each.lower() == name:
                return value
        return None

    def all(self, name: bytes) -> list[bytes]:
        """Return all values of a header, in order."""
        return [value for each, value in self if each.lower() == name]

    def names(self) -> set[bytes]:
        """Return the names that occur, in lower case."""
        return {name.lower() for name, _ in self}

    def without(self, name: bytes) -> HeaderList:
        """Return the headers that have another name."""
        return HeaderList(header for header in self if header[0].lower() != name)
