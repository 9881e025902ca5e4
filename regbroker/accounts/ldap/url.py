"""
Where a directory is and what to search there: LDAP URLs (RFC 4516).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import quote, unquote

from regbroker.accounts.ldap.filters import (
    ANY_ENTRY,
    Compound,
    Filter,
    Item,
    parse_filter,
)
from regbroker.accounts.ldap.names import ATTRIBUTE_TYPE, parse_name
from regbroker.protocol.origins import parse_authority

Scope = Literal["base", "one", "sub"]

_EXAMPLE = "ldaps://HOST/ou=people,dc=example,dc=com?uid?sub?(objectclass=posixAccount)"
_PORTS = {"ldap": 389, "ldaps": 636}
# What a reader can do without %XX for.
_UNQUOTED = "=,;:@+&|!*()'~$"


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
    if not re.fullmatch(ATTRIBUTE_TYPE, attribute):
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
            "it names an account; write ldaps://HOST/…, and the account as "
            "ldap-bind-dn with ldap-bind-password-file"
        )
    place = parse_authority(authority, default_port)
    if place is None:
        raise ValueError(f"'{authority}' is no host; write HOST, HOST:PORT or [IPv6]")
    return place
