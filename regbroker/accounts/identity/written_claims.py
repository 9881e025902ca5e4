"""
Claims as people write them in a line, and what a token with them may hold.

In a line every claim is a text, or several, and one inside of another is written with
dots. In a token it may be a number or a truth, and stands in an object. Expressions see
the difference. So a condition is asked about each reading, the plain one first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, product

#: Claims that may be a text or not: with more, only all or none are tried as a text.
MAX_AMBIGUOUS = 5

#: Dots in a name of which each may lead into an object.
MAX_DOTS = 5

_TRUTHS = {"true": True, "false": False}

#: Longer ones are ids, and CEL's numbers end soon after.
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")

#: Whether a condition holds; a text says why that cannot be worked out.
Outcome = bool | str


def readings(claims: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Yield what a token may hold, as JSON: all claims as texts first."""
    plain = {n: list(v) if isinstance(v, tuple) else v for n, v in claims.items()}
    typed = {n: _typed(v) for n, v in plain.items()}
    ambiguous = [name for name in plain if typed[name] != plain[name]]
    yield _with_objects(plain)
    if len(ambiguous) > MAX_AMBIGUOUS:
        yield _with_objects(typed)
        return
    for choice in product((False, True), repeat=len(ambiguous)):
        if any(choice):
            chosen = {
                name: typed[name]
                for name, is_typed in zip(ambiguous, choice, strict=True)
                if is_typed
            }
            yield _with_objects({**plain, **chosen})


def settled(outcomes: Iterable[Outcome]) -> Outcome:
    """Return what the outcomes for all readings say together, the plain one first."""
    plain, *others = outcomes
    if plain is True:
        return True
    worked_out = {plain, *others} & {True, False}
    if worked_out == {True, False}:
        return "it depends on whether a claim is a text"
    return True in worked_out if worked_out else plain


def _typed(value: object) -> object:
    if isinstance(value, list):
        return [_typed(each) for each in value]
    if not isinstance(value, str):
        return value
    if _NUMBER.fullmatch(value):
        return int(value)
    return _TRUTHS.get(value, value)


def _with_objects(claims: Mapping[str, object]) -> dict[str, object]:
    """Return claims with those in objects, too, whose names have dots."""
    whole = dict(claims)
    for name, value in claims.items():
        parts = name.split(".")
        if len(parts) - 1 > MAX_DOTS:
            continue
        for count in range(1, len(parts)):
            for cuts in combinations(range(1, len(parts)), count):
                ends = zip((0, *cuts), (*cuts, len(parts)), strict=True)
                path = [".".join(parts[begin:end]) for begin, end in ends]
                _insert(whole, path, value)
    return whole


def _insert(whole: dict[str, object], path: list[str], value: object) -> None:
    *objects, last = path
    for each in objects:
        inner = whole.setdefault(each, {})
        if not isinstance(inner, dict):
            return
        whole = inner
    whole.setdefault(last, value)
