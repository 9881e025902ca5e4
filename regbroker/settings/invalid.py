"""What is wrong with the value of an option; of a list, all of it at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
S = TypeVar("S")


class InvalidValue(ValueError):
    """An option's value is wrong; each of `problems` says what would be right."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        """Return all problems as one line."""
        return "; ".join(self.problems)


def parse_each(values: Iterable[S], parse: Callable[[S], T]) -> tuple[T, ...]:
    """Parse each value of a list; raises `InvalidValue` with the problems of all."""
    parsed: list[T] = []
    problems: list[str] = []
    for value in values:
        try:
            parsed.append(parse(value))
        except InvalidValue as error:
            problems += error.problems
    if problems:
        raise InvalidValue(*problems)
    return tuple(parsed)


def shown(text: str) -> str:
    """Return a wrong text without the user and the password that a URL may have."""
    return re.sub(r"//[^/\s]*@", "//...@", text)
