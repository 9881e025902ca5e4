"""Servers by their address: scheme, host and port."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_DEFAULT_PORTS = {"http": 80, "https": 443}

#: An upstream redirects each blob to the same few storages. A name of DNS has 253
#: characters at most.
MAX_REMEMBERED = 256
MAX_REMEMBERED_LENGTH = 270

_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
)


class Origin(NamedTuple):
    """A server: scheme, host in lower case, port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    @property
    def netloc(self) -> str:
        """Host and port as they stand in a URL and in a Host header."""
        if self.port == _DEFAULT_PORTS.get(self.scheme):
            return self.bare_netloc
        return f"{self.bare_netloc}:{self.port}"

    @property
    def bare_netloc(self) -> str:
        """The host as it stands in a URL, without the port."""
        return f"[{self.host}]" if ":" in self.host else self.host


#: What a server on a unix socket is called in the Host header, and in redirects.
UNIX_ORIGIN = Origin("http", "localhost", 80)


def parse_origin(scheme: str, authority: str) -> Origin | None:
    """Parse scheme and ``host[:port]``; None for what is no server of HTTP."""
    is_long = len(scheme) + len(authority) > MAX_REMEMBERED_LENGTH
    return (_parse if is_long else _remembered)(scheme, authority)


def parse_authority(authority: str, default_port: int) -> tuple[str, int] | None:
    """
    Parse ``host[:port]`` of any scheme; None for what is no server's.

    The host is in lower case, and an address of IPv6 has no brackets.
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return None
    port = int(match["port"] or default_port)
    return ((match["v6"] or match["host"]).lower(), port) if 0 < port < 65536 else None


def _parse(scheme: str, authority: str) -> Origin | None:
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        return None
    place = parse_authority(authority, _DEFAULT_PORTS[scheme])
    return None if place is None else Origin(scheme, *place)


_remembered = lru_cache(MAX_REMEMBERED)(_parse)
