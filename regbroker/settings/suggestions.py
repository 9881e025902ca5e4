"""What a name that is not known may have been meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

#: How alike two names are, from 0 to 1: two letters that changed places, a letter too
#: many, a plural.
_LIKENESS = 0.75


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'NAME'? ``, or an empty text when nothing is near."""
    # What is long is no slip of the pen, and takes long to compare.
    if len(name) > 64:
        return ""
    by_lower_case = {each.lower(): each for each in known}
    name = name.lower().replace("_", "-")
    near = get_close_matches(name, by_lower_case, 1, _LIKENESS)
    # In a short name, two letters that changed places are much of it.
    near += [each for each in by_lower_case if sorted(each) == sorted(name)]
    return f"did you mean '{by_lower_case[near[0]]}'? " if near else ""
