"""
Records as lines of a log, in the style of logfmt: ``name=value``, with spaces between.

What clients choose stands in these lines, so none of it may look like another field or
another line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

#: What a line of the log shows of a text that the client has chosen.
MAX_TEXT = 300

#: What goes into a line as it is: printable ASCII without spaces and quotes.
_PLAIN = re.compile(r"[!#-~]+")
_PLAIN_BYTES = bytes(range(0x21, 0x7F)).replace(b'"', b"")

#: What does not: a quote would end the text, and a backslash might hide that.
_ODD = re.compile(r"[^ !#-\[\]-~]")
_ODD_OR_SPACE = re.compile(r"[^!#-\[\]-~]")

#: The fields of one line: texts and numbers. None is what is not known; no text is
#: empty.
Fields = dict[str, object]


class LineFormat:
    """
    Lines of a log with these fields: ``name=value``, with spaces between them.

    Whatever a client has written, a line has all fields, once and in order. Only the
    last one may have spaces in its value.
    """

    def __init__(self, names: Iterable[str]) -> None:
        begins = [f"{name}=" for name in names]
        self._line = " ".join(f"{begin}%s" for begin in begins)
        self._spaces = b" " * (len(begins) - 1)
        #: No value of a line that is not longer than this is longer than `MAX_TEXT`.
        self._short = len(" ".join(begins)) + MAX_TEXT

    def is_plain(self, line: str) -> bool:
        """
        Tell whether a line that was made of these names has nothing odd in its values.

        A space and an equals sign in a text cannot make up a field: there is nothing
        between the plain characters but the spaces between the fields.
        """
        return (
            line.isascii()
            and line.encode().translate(None, _PLAIN_BYTES) == self._spaces
            and (len(line) <= self._short or max(map(len, line.split())) <= MAX_TEXT)
        )

    def __call__(self, fields: Fields) -> str:
        """Return a line; times have milliseconds, and a dash is what is not known."""
        values = [
            "-"
            if value is None
            else f"{value:.3f}"
            if value.__class__ is float
            else value
            for value in fields.values()
        ]
        line = self._line % tuple(values)
        if self.is_plain(line):
            return line
        last = values.pop()
        safe = [_text(str(value), _ODD_OR_SPACE) for value in values]
        return self._line % (*safe, _text(str(last), _ODD))


@lru_cache(maxsize=1024)
def in_seconds(milliseconds: int) -> str:
    """Return a time as a line has it; most requests take less than a second."""
    return f"{milliseconds / 1000:.3f}"


def _text(text: str, odd: re.Pattern[str]) -> str:
    """Make a text fit for one field of a line: quoted, without what is `odd`."""
    if _PLAIN.fullmatch(text):
        return text[:MAX_TEXT]
    return f'"{odd.sub("?", text[:MAX_TEXT])}"'
