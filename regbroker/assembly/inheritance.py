"""
What one generation takes over from the generation before.

An object is made for a value. When the next generation wants one for an equal value, it
gets the same object, with all that the object has learnt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Inheritance:
    """The objects of one generation, each with the value that it was made for."""

    def __init__(self, before: Inheritance | None = None) -> None:
        self._before = before._objects if before is not None else {}
        self._objects: dict[tuple[str, str], tuple[object, Any]] = {}

    def get(self, kind: str, name: str, value: object, make: Callable[[], T]) -> T:
        """Return the object of that kind and name; made anew if its value differs."""
        key = kind, name
        known = self._before.get(key)
        made: T = known[1] if known is not None and known[0] == value else make()
        self._objects[key] = value, made
        return made

    def is_done(self) -> None:
        """Let go of the generation before."""
        self._before = {}
