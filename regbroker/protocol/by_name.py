"""
What follows from a header's name, remembered: every message brings the same names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

V = TypeVar("V")

#: Somebody who makes up names takes no more memory than this; a longer name is looked
#: up each time.
MAX_REMEMBERED = 1024
MAX_REMEMBERED_NAME = 64


class ByName(dict[bytes, V]):
    """Values by names as they are written, in whatever case; `find` finds a new one."""

    def __init__(self, find: Callable[[bytes], V]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, name: bytes) -> V:
        value = self._find(name)
        if len(name) <= MAX_REMEMBERED_NAME:
            if len(self) >= MAX_REMEMBERED:
                self.clear()
            self[name] = value
        return value
