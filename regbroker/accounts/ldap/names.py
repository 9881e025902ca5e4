"""Distinguished names (RFC 4514), as far as names are compared with each other."""

from __future__ import annotations

import re

#: An attribute's name, or its number (RFC 4512, section 1.4).
ATTRIBUTE_TYPE = r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)"

#: A distinguished name to compare with, the entry's own part first: of each part
#: the attributes and values, in lower case.
Name = tuple[frozenset[tuple[str, str]], ...]

_PAIR = re.compile(
    rf"\s*(?P<type>{ATTRIBUTE_TYPE})\s*=\s*"
    r'(?P<value>(?:\\[0-9A-Fa-f]{2}|\\[ "#+,;<=>\\]|[^\\"+,;<>\0])*)'
)


def _pairs(text: str) -> list[list[tuple[str, str]]]:
    parts: list[list[tuple[str, str]]] = []
    position, separator = 0, "," if text.strip() else ""
    while separator:
        match = _PAIR.match(text, position)
        end = match.end() if match else position
        if match is None or text[end : end + 1] not in ("", ",", ";", "+"):
            raise ValueError(
                f"'{text}' is no distinguished name such as ou=people,dc=example,"
                "dc=com; '\\' stands before what is no separator in a value"
            )
        if separator != "+":
            parts.append([])
        parts[-1].append((match["type"].lower(), _value(match["value"])))
        separator, position = text[end : end + 1], end + 1
    return parts


def _value(text: str) -> str:
    # A blank at the end counts when it is escaped.
    stripped = re.sub(r"(?<!\\)\s+\Z", "", text)
    raw = re.sub(
        rb"\\(?:([0-9A-Fa-f]{2})|(.))",
        lambda match: bytes([int(match[1], 16)]) if match[1] else match[2],
        stripped.encode(),
    )
    return raw.decode("utf-8", "replace")


def parse_name(text: str) -> Name:
    """Parse a distinguished name; raises `ValueError`."""
    return tuple(
        frozenset((kind, " ".join(value.split()).casefold()) for kind, value in part)
        for part in _pairs(text)
    )


def own_value(text: str) -> str:
    """Return the first value of a distinguished name: a group's own name."""
    parts = _pairs(text)
    return parts[0][0][1] if parts else ""


def is_below(name: Name, base: Name) -> bool:
    """Whether a name is `base` or below it."""
    return len(name) >= len(base) and name[len(name) - len(base) :] == base
