"""
The rules between public and upstream repository names: the one place where
names are mapped.

A rule is written ``public = upstream``. Without a star it is about a namespace:
``team = acme_team`` maps ``team`` and everything below ``team/``. With one
trailing star on both sides, the star stands for any text: ``* = acme_*``,
``library/* = hub_mirror/*``. The longest public pattern that matches decides.

Facts that shape this module:

- A client may come back with an upstream name that it was once shown, so a
  name that the rules make of another one is taken as already mapped:
  ``acme_team/app`` stays ``acme_team/app``. Such a name is called an alias
  here; the name it comes from is the canonical one.
- Replies carry upstream names that no client has asked for (the catalog,
  errors), so every upstream name must lead back to one canonical public name.
  Rules that make one upstream name of two public ones are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from regbroker.errors import NameUnknown
from regbroker.names import check_name, is_name

#: A piece of a name that no operator writes into a rule: what a rule makes of
#: it, it makes of every name.
_ANY = "w8qz"

#: The ways in which a name can go on after a pattern's text.
_CONTINUATIONS = ("", f"/{_ANY}", _ANY, f"{_ANY}/{_ANY}")

#: Rarer ways, which matter where a pattern ends in a separator: after ``a_`` the
#: name ``a__b`` goes on, and without the ``a_`` it would be no name.
_SEPARATED = tuple(separator + _ANY for separator in (".", "_", "__", "-"))

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
    """One line of ``namespaces``."""

    public: Pattern
    upstream: Pattern

    def __str__(self) -> str:
        return f"{self.public} = {self.upstream}"

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


@dataclass(frozen=True)
class Route:
    """
    Where a public name leads, and why.

    `public_name` is the canonical one, whatever the client has written.
    `upstream` is the name of an ``[upstream NAME]`` section.
    """

    public_name: str
    upstream: str
    upstream_name: str
    rule: Rule
    reason: str


class InvalidRule(ValueError):
    """A rule, or a set of rules, that cannot be served; says what is wrong."""


def parse_rule(line: str) -> Rule:
    """Parse ``public = upstream``; raises `InvalidRule`."""
    sides = [side.strip() for side in line.split("=")]
    if len(sides) != 2 or not all(sides):
        raise InvalidRule(f"'{line.strip()}' is not 'public = upstream'")
    public, upstream = (_parse_pattern(side) for side in sides)
    if public.star != upstream.star:
        raise InvalidRule(
            f"'{public} = {upstream}': a star stands on both sides or on neither"
        )
    return Rule(public, upstream)


def _parse_pattern(text: str) -> Pattern:
    star = text.endswith("*")
    literal = text[:-1] if star else text
    probe = literal + _ANY if star else literal
    if _PATTERN_TEXT.fullmatch(literal) is None or not is_name(probe):
        raise InvalidRule(
            f"'{text}' is neither a namespace (lower-case letters, digits, and "
            "single separators . _ - / between them) nor one with a trailing star"
        )
    return Pattern(literal, star)


class Mapping:
    """
    The rules of one registry towards one upstream.

    Immutable once made. Raises `InvalidRule` for rules that contradict one
    another, naming both.
    """

    def __init__(self, rules: Iterable[Rule], upstream: str) -> None:
        self.upstream = upstream
        # An exact namespace comes before a star after the same text.
        self.rules = tuple(
            sorted(rules, key=lambda rule: (-len(rule.public.text), rule.public.star))
        )
        for rule in self.rules:
            self._check_reachable(rule)
        for name in self._probes():
            self._check_invertible(name)

    def __repr__(self) -> str:
        return f"<Mapping {'; '.join(map(str, self.rules))}>"

    @property
    def namespaces(self) -> str:
        """The public patterns, for people."""
        return ", ".join(sorted(str(rule.public) for rule in self.rules))

    def route(self, name: str) -> Route:
        """
        Return where a name that a client wrote leads.

        Raises `NameInvalid` for what is no repository name, `NameUnknown` for
        a name that no rule maps.
        """
        check_name(name)
        for rule, canonical in self._sources(name):
            if not self._sources(canonical):
                return Route(
                    canonical, self.upstream, name, rule, f"already mapped by '{rule}'"
                )
        found = self._deciding_rule(name)
        if found is None or self._sources(name):
            raise NameUnknown(
                f"no namespace rule maps this name; namespaces here: {self.namespaces}",
                detail={"name": name},
            )
        rule, upstream_name = found
        return Route(name, self.upstream, upstream_name, rule, f"by '{rule}'")

    def to_public(self, name: str) -> str | None:
        """Return the canonical public name of an upstream name, or None."""
        sources = self._sources(name)
        for _, canonical in sources:
            if not self._sources(canonical):
                return canonical
        if not sources:
            found = self._deciding_rule(name)
            if found is not None and found[1] == name:
                return name
        return None

    def _deciding_rule(self, name: str) -> tuple[Rule, str] | None:
        for rule in self.rules:
            if rule.public.match(name) is not None:
                result = rule.apply(name)
                return None if result is None else (rule, result)
        return None

    def _sources(self, name: str) -> list[tuple[Rule, str]]:
        """Return the other names that the rules make `name` of."""
        sources = []
        for rule in self.rules:
            source = rule.reverse(name)
            if source is not None and source != name:
                found = self._deciding_rule(source)
                if found is not None and found[0] is rule:
                    sources.append((rule, source))
        return sources

    def _check_reachable(self, rule: Rule) -> None:
        for continuation in _CONTINUATIONS:
            name = rule.public.text + continuation
            if rule.public.match(name) is None or not is_name(name):
                continue
            found = self._deciding_rule(name)
            sources = self._sources(name)
            if found is not None and found[0] is rule and not sources:
                return
            if sources:
                blocker, because = sources[0][0], "takes its names as already mapped"
            elif found is not None:
                blocker, because = found[0], "decides about all its names"
        if blocker is rule:
            raise InvalidRule(
                f"'{rule}' can never apply: each of its public names is also an "
                "upstream name that it makes of another one"
            )
        raise InvalidRule(f"'{rule}' can never apply: '{blocker}' {because}")

    def _probes(self) -> Iterable[str]:
        """
        Yield the names at which rules can meet.

        Those are the places where a pattern ends, and what the rules make of
        them, twice: once to the upstream name that is shared, and once more
        for the name whose alias it may be.
        """
        texts = {
            pattern.text
            for rule in self.rules
            for pattern in (rule.public, rule.upstream)
        }
        names = {
            text + continuation
            for text in texts
            for continuation in _CONTINUATIONS + _SEPARATED
        }
        for _ in range(2):
            names |= {rule.apply(name) or name for rule in self.rules for name in names}
        return sorted(filter(is_name, names))

    def _check_invertible(self, name: str) -> None:
        canonical = [
            (rule, source)
            for rule, source in self._sources(name)
            if not self._sources(source)
        ]
        if len(canonical) > 1:
            (one, one_source), (other, other_source), *_ = canonical
            raise InvalidRule(
                f"'{one}' and '{other}' make one upstream name of two public "
                f"ones: '{one_source}' and '{other_source}' both become '{name}'"
            )
