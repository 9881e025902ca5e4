"""
Patterns over public repository names, as access rules are written with them.

Segments stand between slashes. In a segment, ``*`` is any text, also none, and
``${user}`` is the account's name; a segment ``**`` is any number of segments,
also none. So ``team/**`` is ``team`` and everything below it, ``team/*`` is what
lies directly below, and ``**`` is every name.

``${user}`` matches for an account whose name could be part of a repository name
itself. One called ``**``, ``a/b`` or ``Alice`` is matched by no pattern with
``${user}``: what somebody is called must not say more than the pattern does.

Any other ``${claim}`` is a claim of an account that an issuer vouches for
(`regbroker.accounts.claims`). Where it stands alone between slashes, its value may have
slashes itself, as ``acme/app`` in GitHub's ``repository``. ``${lower:claim}`` is the
same in lower case, for issuers to which both are one; letters beyond ASCII stay as they
are. A value that is no part of a repository name matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from regbroker.accounts.claims import claim, text_of
from regbroker.accounts.globs import glob_matches
from regbroker.naming.mapping import NameMapping
from regbroker.naming.pattern_index import PatternIndex
from regbroker.naming.rules import Pattern
from regbroker.protocol.names import is_name

USER = "${user}"

_LOWER = "${lower:"

#: Claims with slashes in their names cannot stand between slashes.
_VARIABLE_TEXT = r"\$\{(?:lower:)?[A-Za-z0-9_][A-Za-z0-9_.-]*\}"
_VARIABLE = re.compile(_VARIABLE_TEXT)

_SEGMENT = re.compile(rf"\*\*|(?:[a-z0-9._-]|\*(?!\*)|{_VARIABLE_TEXT})+")

_WILDCARD = re.compile(rf"\*\*?|{_VARIABLE_TEXT}")

_NO_CLAIMS: Mapping[str, object] = {}


class InvalidPattern(ValueError):
    """This is no pattern over repository names; says what would be right."""


@dataclass(frozen=True)
class NamePattern:
    """A pattern, which `parse_pattern` makes; `str` gives it back as it is written."""

    segments: tuple[str, ...]

    def __str__(self) -> str:
        return "/".join(self.segments)

    @property
    def is_per_user(self) -> bool:
        """Whether the pattern has ``${user}``."""
        return any(USER in segment for segment in self.segments)

    @property
    def claims(self) -> tuple[str, ...]:
        """The names of the claims in the pattern."""
        found = [each for s in self.segments for each in _VARIABLE.findall(s)]
        return tuple(_claim_name(each) for each in found if each != USER)

    def matches(
        self,
        name: str,
        user: str | None = None,
        claims: Mapping[str, object] = _NO_CLAIMS,
    ) -> bool:
        """
        Tell whether a repository name matches for an account, None: nobody's.

        `claims` are those that an issuer has made for the account.
        """
        segments = self._segments_for(user, claims)
        if segments is None or not is_name(name):
            return False
        # The places in the pattern that the name's segments so far can lead to.
        places = _after_nothing({0}, segments)
        for component in name.split("/"):
            reached = set()
            for place in places:
                if place == len(segments):
                    continue
                if segments[place] == "**":
                    reached.add(place)
                elif glob_matches(segments[place], component):
                    reached.add(place + 1)
            places = _after_nothing(reached, segments)
        return len(segments) in places

    def may_reach(
        self, namespaces: PatternIndex[object], user: str | None = None
    ) -> bool:
        """
        Tell whether the pattern may match a name of a namespace, by how both begin.

        False is certain, True is not. With `user` it is about that account; without,
        ``${user}`` is any text in a segment. Claims are any text.
        """
        segments = self.segments if user is None else self._segments_for(user)
        if segments is None:
            return False
        text = "/".join(segments)
        wildcard = _WILDCARD.search(text)
        if wildcard is None:
            return bool(namespaces.matching(text))
        beginning, rest = text[: wildcard.start()], text[wildcard.start() :]
        if any(True for _ in namespaces.beginning_with(beginning)):
            return True
        candidates = [beginning]
        if set(rest.split("/")) == {"**"}:
            # ``team/**`` matches ``team``, too.
            candidates.append(beginning.removesuffix("/"))
        return any(namespaces.matching(name) for name in candidates)

    def _segments_for(
        self, user: str | None, claims: Mapping[str, object] = _NO_CLAIMS
    ) -> tuple[str, ...] | None:
        """Return the segments with the variables' values; None if one does not fit."""
        if not any("$" in segment for segment in self.segments):
            return self.segments
        values = {}
        for variable in self.claims:
            values[variable] = text_of(claim(claims, variable))
        segments: list[str] = []
        for segment in self.segments:
            fitted = segment
            for written in set(_VARIABLE.findall(segment)):
                value = user if written == USER else values[_claim_name(written)]
                if value is None:
                    return None
                # Other letters have such small ones, too: a KELVIN SIGN is a k then.
                if written.startswith(_LOWER) and value.isascii():
                    value = value.lower()
                # Alone between slashes, a claim may be several segments.
                is_whole = segment == written and written != USER
                if not (is_name(value) if is_whole else is_component(value)):
                    return None
                fitted = fitted.replace(written, value)
            segments += fitted.split("/")
        return tuple(segments)


def _claim_name(variable: str) -> str:
    return variable[len("${") : -1].removeprefix("lower:")


def is_component(text: str) -> bool:
    """Tell whether `text` can stand between the slashes of a repository name."""
    return "/" not in text and is_name(text)


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
    # With a letter for each wildcard: no other text makes wrong separators right.
    if not is_name(_WILDCARD.sub("w", text)):
        raise InvalidPattern(
            f"'{text}' matches no repository name: separators . _ - / stand one at "
            "a time, between letters and digits"
        )
    return pattern


def has_only_aliases(pattern: NamePattern, mapping: NameMapping) -> bool:
    """
    Tell whether all that a pattern matches is taken as already mapped.

    True only when that is certain, for what the pattern's plain segments begin.
    """
    plain: list[str] = []
    for segment in pattern.segments:
        if "*" in segment or "$" in segment:
            break
        plain.append(segment)
    return bool(plain) and mapping.has_only_aliases("/".join(plain))


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
    below = Pattern(prefix, star=True)
    choice = mapping.choice(below)
    if not choice:
        return None
    upstream, rule = next(iter(choice.items()))
    namespace = mapping.default_namespace(upstream)
    if rule.upstream.text or not namespace:
        return None
    nearer = [
        rule.public
        for rule in mapping.by_public.beginning_with(prefix)
        if "/" not in rule.public.text[len(prefix) :]
    ]
    return f"{prefix}{namespace}/{last}" if nearer == [below] else None


def _pattern(text: str) -> NamePattern:
    return NamePattern(tuple(text.split("/")))


def _after_nothing(places: set[int], segments: tuple[str, ...]) -> set[int]:
    """Add the places behind every ``**`` that stands for no segment at all."""
    reached = set(places)
    for place in sorted(places):
        while place < len(segments) and segments[place] == "**":
            place += 1
            reached.add(place)
    return reached
