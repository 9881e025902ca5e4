"""
The headers of one message: pairs of bytes, in order, as they are on the wire.

A reply's headers stay such a list from the upstream's bytes to the client's. Nothing is
copied or written differently on the way; names are compared in lower case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from regbroker.protocol.by_name import ByName
from regbroker.protocol.headers import Header

#: Names in lower case, by the names as they are written.
LOWER = ByName(bytes.lower)


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
            if LOWER[each] == name:
                return value
        return None

    def text(self, name: bytes) -> str | None:
        """
        Return the same as text, for each byte a character.

        RFC 9110, 5.5: whatever is beyond ASCII is opaque. It may be no UTF-8.
        """
        value = self.first(name)
        return None if value is None else value.decode("latin-1")

    def all(self, name: bytes) -> list[bytes]:
        """Return all values of a header, in order."""
        return [value for each, value in self if LOWER[each] == name]

    def without(self, name: bytes) -> HeaderList:
        """Return the headers that have another name."""
        return HeaderList(header for header in self if LOWER[header[0]] != name)


class ReceivedHeaders(HeaderList):
    """
    Headers that stay as they are, and are asked for many names.

    `by_name` has the values by name, in lower case; the last one of several. Requests
    with the same head share one such list, so whatever would change it raises
    `TypeError`: a `HeaderList` of it may be changed.
    """

    __slots__ = ("by_name",)

    def __init__(self, headers: Iterable[Header] = ()) -> None:
        # A list's own `__init__`, by way of `super`, takes three times as long.
        list.extend(self, headers)
        # A comprehension would be a function of its own in Python 3.11.
        by_name: dict[bytes, bytes] = {}
        for name, value in self:
            by_name[LOWER[name]] = value
        self.by_name: Mapping[bytes, bytes] = by_name

    def all(self, name: bytes) -> list[bytes]:
        """Return all values of a header, in order."""
        if name not in self.by_name:
            return []
        if len(self.by_name) == len(self):
            return [self.by_name[name]]
        return super().all(name)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("received headers are not changed; make a HeaderList of them")

    append = extend = insert = pop = remove = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse


#: Those of a message that has none.
NO_HEADERS = ReceivedHeaders()
