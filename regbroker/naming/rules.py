"""
The rules between public and upstream repository names, one at a time.

A rule is written ``public = upstream``. Without a star it is about a namespace:
``team = acme_team`` maps ``team`` and everything below ``team/``. With one
trailing star on both sides, the star stands for any text: ``* = acme_*``,
``library/* = hub_mirror/*``. A rule may name the upstream that it leads to:
``quay/* = quay:*``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from regbroker.protocol.names import is_name

#: A piece of a name that no operator writes into a rule: what a rule makes of
#: it, it makes of every name.
ANY_TEXT = "w8qz"

#: The name of an ``[upstream NAME]`` section, before the pattern.
_SECTION = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*):")

_PATTERN_TEXT = re.compile(r"[a-z0-9._/-]*")


@dataclass(frozen=True)
class Pattern:
    """One side of a rule: a namespace, or a prefix before a star."""

    text: str
    star: bool

    def __str__(self) -> str:
        return self.text + ("*" if self.star else "")

    def match(self, name: str) -> str | None:
        """Return what `name` has after this pattern's text, or None."""
        if not name.startswith(self.text):
            return None
        remainder = name[len(self.text) :]
        if self.star:
            return remainder or None
        return remainder if remainder == "" or remainder[0] == "/" else None


@dataclass(frozen=True)
class Rule:
    """
    One line of ``namespaces``.

    `section` is the upstream that it names; empty for all that the registry lists.
    """

    public: Pattern
    upstream: Pattern
    section: str = ""

    def __str__(self) -> str:
        section = f"{self.section}:" if self.section else ""
        return f"{self.public} = {section}{self.upstream}"

    def apply(self, name: str) -> str | None:
        """Return the upstream name for a public one, or None without a match."""
        return _exchange(name, self.public, self.upstream)

    def reverse(self, name: str) -> str | None:
        """Return the public name for an upstream one, or None without a match."""
        return _exchange(name, self.upstream, self.public)


def _exchange(name: str, source: Pattern, target: Pattern) -> str | None:
    remainder = source.match(name)
    if remainder is None:
        return None
    result = target.text + remainder
    return result if is_name(result) else None


class InvalidRule(ValueError):
    """A rule, or a set of rules, that cannot be served; says what is wrong."""


def parse_rule(line: str) -> Rule:
    """Parse ``public = [NAME:]upstream``; raises `InvalidRule`."""
    sides = [side.strip() for side in line.split("=")]
    if len(sides) != 2 or not all(sides):
        raise InvalidRule(f"'{line.strip()}' is not 'public = upstream'")
    section = _SECTION.match(sides[1])
    if section is not None:
        sides[1] = sides[1][section.end() :].strip()
    public, upstream = (_parse_pattern(side) for side in sides)
    rule = Rule(public, upstream, section[1] if section is not None else "")
    if public.star != upstream.star:
        raise InvalidRule(f"'{rule}': a star stands on both sides or on neither")
    return rule


def _parse_pattern(text: str) -> Pattern:
    star = text.endswith("*")
    literal = text[:-1] if star else text
    probe = literal + ANY_TEXT if star else literal
    if _PATTERN_TEXT.fullmatch(literal) is None or not is_name(probe):
        raise InvalidRule(
            f"'{text}' is neither a namespace (lower-case letters, digits, and "
            "single separators . _ - / between them) nor one with a trailing star"
        )
    return Pattern(literal, star)
