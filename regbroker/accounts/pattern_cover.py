"""
Whether some patterns match every name that another one matches.

Each pattern is read as a small automaton over the characters of a name, with a slash
after every segment. Both sides are followed together, over all names at once: a place
in the one pattern, with all places that the others can be in after the same characters.
A name at whose end the first one matches, and none of the others, is what is missing.
"""

from __future__ import annotations

import string
from collections import deque
from collections.abc import Iterable, Sequence

from regbroker.accounts.patterns import NamePattern

#: Places that are looked at, in all patterns together: a tenth of a second or two. What
#: people write needs some hundreds.
MAX_PLACES = 20_000

_LETTERS = string.ascii_lowercase + string.digits
_CHARACTERS = frozenset(_LETTERS + "._-/")

#: What a pattern is made of: a character, any text in a segment, any segments.
_ANY, _DEEP = "*", "**"

#: A place: how many pieces are behind it, and whether it is inside a ``**``.
_Place = tuple[int, bool]


class TooManyPlaces(ValueError):
    """The patterns have too many wildcards to compare them."""


def uncovered(pattern: NamePattern, others: Sequence[NamePattern]) -> str | None:
    """
    Return a name that `pattern` matches and none of `others` does; None for none.

    No pattern may be about the user. Raises `TooManyPlaces`.
    """
    pieces = _pieces(pattern)
    all_others = [_pieces(other) for other in others]
    alphabet = _alphabet([pattern, *others])
    starts = [_closure({(0, False)}, other) for other in all_others]
    # With the name so far, and how it ends.
    first = [(place, "", tuple(starts)) for place in _closure({(0, False)}, pieces)]
    waiting = deque((*state, "") for state in first)
    seen = set(first)
    while waiting:
        place, ending, behind, name = waiting.popleft()
        is_whole = ending == "/" and place == (len(pieces), False)
        if is_whole and not _any_ends(behind, all_others):
            return name.removesuffix("/")
        for character in alphabet:
            ends_with = _ending(ending, character)
            if not ends_with:
                continue
            after = _step(place, character, pieces)
            if not after:
                continue
            now = tuple(
                frozenset().union(*(_step(p, character, other) for p in places))
                for places, other in zip(behind, all_others, strict=True)
            )
            for reached in after:
                state = (reached, ends_with, now)
                if state not in seen:
                    seen.add(state)
                    waiting.append((*state, name + character))
        if len(seen) * (1 + len(others)) > MAX_PLACES:
            raise TooManyPlaces
    return None


def _any_ends(
    behind: Iterable[frozenset[_Place]], others: Iterable[Sequence[str]]
) -> bool:
    return any(
        (len(pieces), False) in places
        for places, pieces in zip(behind, others, strict=True)
    )


def _ending(before: str, character: str) -> str:
    """
    Return how a name ends that has one more character; '' when it can be no name.

    That is a separator, or ``x`` for a letter or a digit. After a separator comes no
    other one, but for a second ``_``, or more of ``-`` (`regbroker.protocol.names`).
    """
    if character in _LETTERS:
        return "x"
    if before == "x":
        return character
    if before + character in ("__", "--"):
        return "-" if character == "-" else "__"
    return ""


def _pieces(pattern: NamePattern) -> list[str]:
    pieces: list[str] = []
    for segment in pattern.segments:
        if segment == "**":
            pieces.append(_DEEP)
        else:
            pieces += [*segment, "/"]
    return pieces


def _alphabet(patterns: Iterable[NamePattern]) -> list[str]:
    """Return the characters that differ for these patterns, letters first."""
    written = _CHARACTERS.intersection("".join(map(str, patterns)))
    # One stands for all that no pattern names.
    other = [c for c in "x" + _LETTERS + "-_." if c not in written][:1]
    return [*other, *sorted(written - {"/"}, key=lambda c: (c in "._-", c)), "/"]


def _closure(places: set[_Place], pieces: Sequence[str]) -> frozenset[_Place]:
    """Add the places that are reached without a character."""
    reached, waiting = set(places), list(places)
    while waiting:
        index, inside = waiting.pop()
        if not inside and index < len(pieces) and pieces[index] in (_ANY, _DEEP):
            place = (index + 1, False)
            if place not in reached:
                reached.add(place)
                waiting.append(place)
    return frozenset(reached)


def _step(place: _Place, character: str, pieces: Sequence[str]) -> frozenset[_Place]:
    """Return the places that are reached from one by a character."""
    index, inside = place
    if index == len(pieces):
        return frozenset()
    piece = pieces[index]
    if piece == _DEEP:
        # A slash ends one of its segments; another one may begin.
        if character == "/" and not inside:
            return frozenset()
        return _closure({(index, character != "/")}, pieces)
    if piece == _ANY:
        return _closure({place}, pieces) if character != "/" else frozenset()
    if piece == character:
        return _closure({(index + 1, False)}, pieces)
    return frozenset()
