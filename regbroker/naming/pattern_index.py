"""
The patterns that match a name, found without a look at each.

A name has few beginnings, however many patterns there are. So what is looked up is the
name's beginnings, as long as the patterns' texts are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from regbroker.naming.rules import Pattern

T_co = TypeVar("T_co", covariant=True)


class PatternIndex(Generic[T_co]):
    """Values by pattern. Immutable once made."""

    def __init__(self, entries: Iterable[tuple[Pattern, T_co]]) -> None:
        ordered = sorted(entries, key=lambda entry: entry[0].text)
        self._texts = [pattern.text for pattern, _ in ordered]
        self._values = [value for _, value in ordered]
        by_length: dict[int, tuple[dict[str, list[T_co]], dict[str, list[T_co]]]] = {}
        for pattern, value in ordered:
            sides = by_length.setdefault(len(pattern.text), ({}, {}))
            sides[pattern.star].setdefault(pattern.text, []).append(value)
        self._by_length = [
            (length, *by_length[length]) for length in sorted(by_length, reverse=True)
        ]

    def matching(self, name: str) -> list[T_co]:
        """
        Return the values of the patterns that match `name`, as `Pattern.match` does.

        Those of longer texts come first, and namespaces before stars after the same
        text; those of one pattern as they were given.
        """
        found: list[T_co] = []
        for length, namespaces, stars in self._by_length:
            beginning, next_letter = name[:length], name[length : length + 1]
            if next_letter in ("", "/"):
                found += namespaces.get(beginning, ())
            if next_letter:
                found += stars.get(beginning, ())
        return found

    def beginning_with(self, text: str) -> Iterator[T_co]:
        """Yield the values of the patterns whose own text begins with `text`."""
        for place in range(bisect_left(self._texts, text), len(self._texts)):
            if not self._texts[place].startswith(text):
                return
            yield self._values[place]
