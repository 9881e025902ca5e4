"""
Where a directory is and what to search there: LDAP URLs (RFC 4516), with the
filters (RFC 4515) and distinguished names (RFC 4514) that stand in them.

A filter is parsed once, into a tree. What a user types is put into the tree as
a value, so nothing that it says can become part of the filter's structure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import quote, unquote

Scope = Literal["base", "one", "sub"]

_EXAMPLE = "ldaps://HOST/ou=people,dc=example,dc=com?uid?sub?(objectclass=posixAccount)"
_PORTS = {"ldap": 389, "ldaps": 636}
_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?"
)
# What a reader can do without %XX for.
_UNQUOTED = "=,;:@+&|!*()'~$"

_NAME = r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)"
_ATTRIBUTE = re.compile(rf"{_NAME}(?:;[A-Za-z0-9-]+)*")
_EXTENSIBLE = re.compile(
    rf"(?P<attribute>{_NAME}(?:;[A-Za-z0-9-]+)*)?(?P<dn>:[dD][nN])?(?P<rule>:{_NAME})?"
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


#: A distinguished name to compare with, the entry's own part first: of each part
#: the attributes and values, in lower case.
Name = tuple[frozenset[tuple[str, str]], ...]

_PAIR = re.compile(
    rf"\s*(?P<type>{_NAME})\s*=\s*"
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


@dataclass(frozen=True)
class LdapUrl:
    """
    A directory and the search for a user's entry in it.

    `scheme` is ``ldap`` or ``ldaps``, `host` in lower case and without brackets.
    """

    scheme: str
    host: str
    port: int
    base: str
    attribute: str = "uid"
    scope: Scope = "sub"
    filter: Filter = field(default=ANY_ENTRY)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        base, filter = (
            quote(text, _UNQUOTED) for text in (self.base, str(self.filter))
        )
        return f"{self.scheme}://{host}{port}/{base}?{self.attribute}?{self.scope}?{filter}"

    def user_filter(self, user: str) -> Filter:
        """Return the filter that a user's entry matches."""
        named = Item(self.attribute, "=", (user.encode(),))
        return Compound("&", (self.filter, named))


def parse_ldap_url(text: str) -> LdapUrl:
    """
    Parse ``ldaps://host:port/base?attribute?scope?filter``.

    As in other programs that look up users by such URLs, the attribute is
    ``uid`` and the scope ``sub`` when left out. Raises `ValueError` that says
    what would be right.
    """
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _PORTS:
        raise ValueError(f"write {_EXAMPLE}")
    if bad := re.search(r"%(?![0-9A-Fa-f]{2}).{0,2}", rest):
        raise ValueError(f"'{bad[0]}' is no %XX; write %25 for '%'")
    authority, _, rest = rest.partition("/")
    host, port = _parse_authority(authority, _PORTS[scheme])
    parts = rest.split("?")
    if any(parts[4:]):
        raise ValueError(
            "there is something behind the filter, and extensions are not known "
            "here; write %3f for a '?' that belongs to a name or filter"
        )
    try:
        base, attribute, scope, filter = (
            unquote(part, errors="strict") for part in [*parts, "", "", ""][:4]
        )
    except UnicodeDecodeError:
        raise ValueError("what its %XX stand for is not UTF-8") from None
    parse_name(base)
    attribute = attribute or "uid"
    if not re.fullmatch(_NAME, attribute):
        raise ValueError(
            f"'{attribute}' is not the name of one attribute; write uid, or the one "
            "that holds the name users log in with"
        )
    scope = scope.lower() or "sub"
    if scope not in ("base", "one", "sub"):
        raise ValueError(f"the scope '{scope}' is not known; write sub, one or base")
    return LdapUrl(
        scheme,
        host,
        port,
        base,
        attribute,
        cast("Scope", scope),
        parse_filter(filter) if filter else ANY_ENTRY,
    )


def _parse_authority(authority: str, default_port: int) -> tuple[str, int]:
    if "@" in authority:
        raise ValueError(
            "it names an account; write ldaps://HOST/… and give the account to bind "
            "with apart, its password in a file"
        )
    match = _AUTHORITY.fullmatch(authority)
    port = int(match["port"] or default_port) if match else 0
    if match is None or not 0 < port < 65536:
        raise ValueError(f"'{authority}' is no host; write HOST, HOST:PORT or [IPv6]")
    return (match["v6"] or match["host"]).lower(), port
