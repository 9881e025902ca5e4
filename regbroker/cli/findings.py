"""Problems and warnings as values, for programs that read what ``check`` prints."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(
    r"\[(?P<section>[^\]]*)\](?: (?P<option>[^:\s]+))?: (?P<message>.*)", re.DOTALL
)


class Finding(NamedTuple):
    """One problem or warning; section and option are None where it has none."""

    section: str | None
    option: str | None
    message: str

    @classmethod
    def parse(cls, line: str) -> Finding:
        """Parse a line ``[section] option: message``."""
        match = _LINE.fullmatch(line)
        if match is None:
            return cls(None, None, line)
        return cls(match["section"], match["option"], match["message"])
