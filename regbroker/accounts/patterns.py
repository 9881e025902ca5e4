"""
Patterns over public repository names, as access rules are written with them.

Segments stand between slashes. In a segment, ``*`` is any text, also none, and
``${user}`` is the account's name; a segment ``**`` is any number of segments,
also none. So ``team/**`` is ``team`` and everything below it, ``team/*`` is what
lies directly below, and ``**`` is every name.

``${user}`` matches for an account whose name could be part of a repository name
itself. One called ``**``, ``a/b`` or ``Alice`` is matched by no pattern with
``${user}``: what somebody is called must not say more than the pattern does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import Pattern
from regbroker.protocol.names import is_name

USER = "${user}"

_SEGMENT = re.compile(r"\*\*|(?:[a-z0-9._-]|\*(?!\*)|\$\{user\})+")

#: How a component of a repository name goes on, after OCI's grammar: a letter
#: or digit may follow anything, and after one (``a``) come these separators.
_SEPARATORS = {
    ("a", "."): ".",
    ("a", "_"): "_",
    ("_", "_"): "__",
    ("a", "-"): "-",
    ("-", "-"): "-",
}


class InvalidPattern(ValueError):
    """This is no pattern over repository names; says what would be right."""


@dataclass(frozen=True)
class NamePattern:
    """
    A pattern; `str` gives it back as it is written.

    `parse_pattern` makes them. In those that stand for a namespace, ``?`` is
    one character.
    """

    segments: tuple[str, ...]

    def __str__(self) -> str:
        return "/".join(self.segments)

    @property
    def is_per_user(self) -> bool:
        """Whether the pattern has ``${user}``."""
        return any(USER in segment for segment in self.segments)

    def matches(self, name: str, user: str | None = None) -> bool:
        """Tell whether a repository name matches for an account, None: nobody's."""
        segments = self._segments_for(user)
        if segments is None or not is_name(name):
            return False
        # The places in the pattern that the name's segments so far can lead to.
        places = _after_nothing({0}, segments)
        for given in name.split("/"):
            reached = set()
            for place in places:
                if place == len(segments):
                    continue
                if segments[place] == "**":
                    reached.add(place)
                elif _segment_matches(segments[place], given):
                    reached.add(place + 1)
            places = _after_nothing(reached, segments)
        return len(segments) in places

    def name_in(self, others: Iterable[NamePattern], user: str | None) -> str | None:
        """
        Return a repository name that this pattern and one of the others match.

        None when there is no such name, whatever its length. With a user it
        is about that account; without, ``${user}`` is any text in a segment.
        """
        segments = (
            tuple(segment.replace(USER, "*") for segment in self.segments)
            if user is None
            else self._segments_for(user)
        )
        if segments is None:
            return None
        names = (_common_name(segments, other.segments) for other in others)
        return next((name for name in names if name is not None), None)

    def _segments_for(self, user: str | None) -> tuple[str, ...] | None:
        if not self.is_per_user:
            return self.segments
        if user is None or not is_component(user):
            return None
        return tuple(segment.replace(USER, user) for segment in self.segments)


def is_component(text: str) -> bool:
    """Tell whether `text` can stand between the slashes of a repository name."""
    return "/" not in text and is_name(text)


#: Every repository name.
EVERY_NAME = NamePattern(("**",))


def parse_pattern(text: str) -> NamePattern:
    """Parse a pattern; raises `InvalidPattern`, also when no name can match."""
    pattern = _pattern(text)
    for segment in pattern.segments:
        if "**" in segment and segment != "**":
            raise InvalidPattern(f"'{text}': ** stands between slashes, alone")
        if _SEGMENT.fullmatch(segment) is None:
            raise InvalidPattern(
                f"'{text}' is no pattern; write lower-case letters, digits, . _ - "
                "and / as in a repository name, with *, ** or ${user} in it"
            )
    if pattern.name_in([EVERY_NAME], None) is None:
        raise InvalidPattern(
            f"'{text}' matches no repository name: separators . _ - / stand one at "
            "a time, between letters and digits"
        )
    return pattern


def namespace_patterns(namespace: Pattern) -> tuple[NamePattern, ...]:
    """Return patterns that together match what a namespace rule is about."""
    text = namespace.text
    if not namespace.star:
        return (_pattern(f"{text}/**"),)
    if not text or text.endswith("/"):
        return (_pattern(f"{text}*/**"),)
    # The star of a namespace rule is some text, not none, and may begin with /.
    return _pattern(f"{text}?*/**"), _pattern(f"{text}/*/**")


def has_only_aliases(pattern: NamePattern, mapping: NameMapping) -> bool:
    """
    Tell whether all that a pattern matches is taken as already mapped.

    True only when that is certain: the pattern begins with plain segments, and
    one rule makes them, and all that lies below, of names that it decides about
    alone.
    """
    plain: list[str] = []
    for segment in pattern.segments:
        if "*" in segment or "$" in segment:
            break
        plain.append(segment)
    stem = "/".join(plain)
    for index, rule in enumerate(mapping.rules):
        rest = rule.upstream.match(stem) if stem and not rule.section else None
        source = "" if rest is None else rule.public.text + rest
        # A longer source could be too long to be a name where its alias is not.
        if rest is None or source == stem or len(source) > len(stem):
            continue
        if is_name(source) and not any(
            earlier.public.text.startswith(source)
            or earlier.public.match(f"{source}/") is not None
            for earlier in mapping.rules[:index]
        ):
            return True
    return False


def whole_pattern(pattern: NamePattern, mapping: NameMapping) -> str | None:
    """
    Return the pattern that is meant by one that matches short names only.

    Rights are about canonical names: where ``hub/nginx`` is short for
    ``hub/library/nginx``, nothing is ever called ``hub/*``. None for all other
    patterns, and when that is not certain.
    """
    *stem, last = pattern.segments
    if last == "**" or any("*" in segment or "$" in segment for segment in stem):
        return None
    prefix = "/".join([*stem, ""])
    nearer = [
        rule.public
        for rule in mapping.rules
        if rule.public.text.startswith(prefix)
        and "/" not in rule.public.text[len(prefix) :]
    ]
    choice = mapping.choice(Pattern(prefix, star=True))
    if nearer != [Pattern(prefix, star=True)] or not choice:
        return None
    upstream, rule = next(iter(choice.items()))
    namespace = mapping.default_namespace(upstream)
    if rule.upstream.text or not namespace:
        return None
    return f"{prefix}{namespace}/{last}"


def _pattern(text: str) -> NamePattern:
    return NamePattern(tuple(text.split("/")))


def _after_nothing(places: set[int], segments: tuple[str, ...]) -> set[int]:
    """Add the places behind every ``**`` that stands for no segment at all."""
    found = set(places)
    for place in sorted(places):
        while place < len(segments) and segments[place] == "**":
            place += 1
            found.add(place)
    return found


def _segment_matches(pattern: str, text: str) -> bool:
    # Taking each piece where it first occurs is enough when only the last one
    # is bound to a place: no backtracking, whatever the pattern.
    first, *pieces = pattern.split("*")
    if not pieces:
        return pattern == text
    *middle, last = pieces
    end = len(text) - len(last)
    if not (text.startswith(first) and text.endswith(last) and len(first) <= end):
        return False
    start = len(first)
    for piece in middle:
        found = text.find(piece, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return True


def _common_name(one: tuple[str, ...], other: tuple[str, ...]) -> str | None:
    """Return a name that both lists of segments match."""
    pending: list[tuple[int, int, tuple[str, ...]]] = [(0, 0, ())]
    seen = set()
    while pending:
        i, j, name = pending.pop()
        # Whether the name is still empty matters: no name is.
        if (i, j, not name) in seen:
            continue
        seen.add((i, j, not name))
        if i == len(one) and j == len(other) and name:
            return "/".join(name)
        mine, its = one[i : i + 1], other[j : j + 1]
        if mine == ("**",):
            pending.append((i + 1, j, name))
        if its == ("**",):
            pending.append((i, j + 1, name))
        if mine and its:
            component = _common_component(
                "*" if mine == ("**",) else mine[0], "*" if its == ("**",) else its[0]
            )
            if component is not None:
                i, j = i + (mine != ("**",)), j + (its != ("**",))
                pending.append((i, j, (*name, component)))
    return None


def _common_component(one: str, other: str) -> str | None:
    """Return a component of a repository name that both segments match."""
    letters = {"w"} | {letter for letter in one + other if letter.isalnum()}
    pending = [(0, 0, "", "")]
    seen = set()
    while pending:
        i, j, before, text = pending.pop()
        if (i, j, before) in seen:
            continue
        seen.add((i, j, before))
        if i == len(one) and j == len(other) and before == "a":
            return text
        mine, its = one[i : i + 1], other[j : j + 1]
        if mine == "*":
            pending.append((i + 1, j, before, text))
        if its == "*":
            pending.append((i, j + 1, before, text))
        if not (mine and its):
            continue
        i, j = i + (mine != "*"), j + (its != "*")
        for letter in sorted({*letters, *"._-"}):
            if mine in "*?" + letter and its in "*?" + letter:
                after = "a" if letter in letters else _SEPARATORS.get((before, letter))
                if after is not None:
                    pending.append((i, j, after, text + letter))
    return None
