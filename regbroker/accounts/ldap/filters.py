"""
Filters of a search (RFC 4515).

A filter is parsed once, into a tree. What a user types is put into the tree as
a value, so nothing that it says can become part of the filter's structure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from regbroker.accounts.ldap.names import ATTRIBUTE_TYPE

_ATTRIBUTE = re.compile(rf"{ATTRIBUTE_TYPE}(?:;[A-Za-z0-9-]+)*")
_EXTENSIBLE = re.compile(
    rf"(?P<attribute>{ATTRIBUTE_TYPE}(?:;[A-Za-z0-9-]+)*)?"
    rf"(?P<dn>:[dD][nN])?(?P<rule>:{ATTRIBUTE_TYPE})?"
)
_ITEM = re.compile(
    r"(?P<left>[^=<>~()\\*]*?)(?P<operator>=|~=|>=|<=|:=)(?P<value>.*)", re.DOTALL
)
_PLACEHOLDER = re.compile(rb"\$\{([^}]*)\}")

#: Deeper than anybody writes; each level is a level of Python's stack.
_MAX_DEPTH = 20


@dataclass(frozen=True)
class Compound:
    """Filters joined: ``&`` all, ``|`` any, ``!`` not the one."""

    operator: str
    parts: tuple[Filter, ...]

    def __str__(self) -> str:
        return f"({self.operator}{''.join(map(str, self.parts))})"


@dataclass(frozen=True)
class Item:
    """
    A comparison: ``=``, ``~=``, ``>=``, ``<=``, or ``:=`` with a matching rule.

    `pieces` are what stands around ``*``: one for a plain value, two empty ones
    where the attribute need only be there. With ``:=``, `attribute` is all that
    stands before it.
    """

    attribute: str
    operator: str
    pieces: tuple[bytes, ...]

    def __str__(self) -> str:
        value = "*".join(map(escape_value, self.pieces))
        return f"({self.attribute}{self.operator}{value})"

    def extensible(self) -> tuple[str | None, bool, str | None]:
        """Return attribute, whether the DN's parts count too, and matching rule."""
        match = _EXTENSIBLE.fullmatch(self.attribute)
        assert match is not None
        rule = match["rule"]
        return match["attribute"], bool(match["dn"]), rule[1:] if rule else None


Filter = Compound | Item

ANY_ENTRY = Item("objectClass", "=", (b"", b""))


def escape_value(value: bytes) -> str:
    """Write a value as it stands in a filter (RFC 4515, section 3)."""
    return "".join(
        chr(byte)
        if chr(byte) not in "()*\\" and 0x20 <= byte < 0x7F
        else f"\\{byte:02x}"
        for byte in value
    )


def parse_filter(text: str) -> Filter:
    """Parse a filter; raises `ValueError` that says what would be right."""
    parsed, end = _parse_filter(text, 0, 0)
    if end != len(text):
        raise ValueError(
            f"'{text[end:]}' follows the filter; join several as (&(…)(…))"
        )
    return parsed


def _parse_filter(text: str, start: int, depth: int) -> tuple[Filter, int]:
    if text[start : start + 1] != "(":
        raise ValueError(
            f"a filter begins with '(', not '{text[start:] or 'its end'}'; "
            "write for example (objectclass=posixAccount)"
        )
    if depth > _MAX_DEPTH:
        raise ValueError(f"filters are nested more than {_MAX_DEPTH} deep")
    position = start + 1
    operator = text[position : position + 1]
    if operator not in ("&", "|", "!"):
        end = text.find(")", position)
        if end < 0:
            raise ValueError(f"'{text[start:]}' lacks its ')'")
        return _parse_item(text[position:end]), end + 1
    position += 1
    parts = []
    while text[position : position + 1] == "(":
        part, position = _parse_filter(text, position, depth + 1)
        parts.append(part)
    if text[position : position + 1] != ")":
        raise ValueError(
            f"'{text[start:]}' lacks its ')'; parts of ({operator}…) are filters, "
            "each in parentheses"
        )
    if operator == "!" and len(parts) != 1:
        raise ValueError("(!…) takes one filter, as in (!(uid=guest))")
    return Compound(operator, tuple(parts)), position + 1


def _parse_item(text: str) -> Item:
    match = _ITEM.fullmatch(text)
    if match is None:
        raise ValueError(f"'({text})' compares nothing; write (attribute=value)")
    left, operator = match["left"], match["operator"]
    pieces = tuple(_unescape(piece) for piece in match["value"].split("*"))
    if operator == ":=":
        known = _EXTENSIBLE.fullmatch(left)
        valid = known is not None and bool(known["attribute"] or known["rule"])
    else:
        valid = _ATTRIBUTE.fullmatch(left) is not None
    if not valid:
        raise ValueError(f"'{left}' in '({text})' is no attribute's name")
    if operator != "=" and len(pieces) > 1:
        raise ValueError(f"'*' in '({text})' stands only after '='; write \\2a for one")
    if b"" in pieces[1:-1]:
        raise ValueError(f"'**' in '({text})': write one '*'")
    return Item(left, operator, pieces)


def _unescape(text: str) -> bytes:
    if bad := re.search(r"\\(?![0-9A-Fa-f]{2})|[(\0]", text):
        raise ValueError(
            f"'{bad[0]}' in a filter's value is written as \\{ord(bad[0]):02x}"
        )
    return re.sub(
        rb"\\([0-9A-Fa-f]{2})",
        lambda match: bytes([int(match[1], 16)]),
        text.encode(),
    )


def parse_group_filter(text: str) -> Filter:
    """
    Parse a filter with ``${dn}`` and ``${user}`` for whose groups are searched.

    Raises `ValueError`, also when it has neither: then every user would be in
    every group.
    """
    parsed = parse_filter(text)
    names = _placeholders(parsed)
    if unknown := sorted(names - {b"dn", b"user"}):
        wrong = unknown[0].decode(errors="replace")
        raise ValueError(f"'${{{wrong}}}' is not known; write ${{dn}} or ${{user}}")
    if not names:
        raise ValueError("it is the same for all users; write (member=${dn}) or so")
    return parsed


def _placeholders(filter: Filter) -> set[bytes]:
    if isinstance(filter, Compound):
        return {name for part in filter.parts for name in _placeholders(part)}
    return {name for piece in filter.pieces for name in _PLACEHOLDER.findall(piece)}


def fill(filter: Filter, values: Mapping[bytes, bytes]) -> Filter:
    """Return the filter with ``${name}`` in its values replaced."""
    if isinstance(filter, Compound):
        parts = tuple(fill(part, values) for part in filter.parts)
        return Compound(filter.operator, parts)
    pieces = tuple(
        _PLACEHOLDER.sub(lambda match: values[match[1]], piece)
        for piece in filter.pieces
    )
    return Item(filter.attribute, filter.operator, pieces)
