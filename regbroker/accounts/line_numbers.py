"""Lines of a file, for people: by their numbers, since they may hold secrets."""

from __future__ import annotations

from collections.abc import Sequence

#: Line numbers that one message names.
MAX_NUMBERS = 10


def lines(numbers: Sequence[int]) -> str:
    """Return the numbers of lines as words, some ten of them."""
    shown = ", ".join(map(str, numbers[:MAX_NUMBERS]))
    shown += ", ..." if numbers[MAX_NUMBERS:] else ""
    return f"line {shown}" if len(numbers) == 1 else f"lines {shown}"
