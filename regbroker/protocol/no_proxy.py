"""
``NO_PROXY``: the hosts that are reached without a proxy.

There is no standard. As Go and curl have it, and so docker: names with or without a dot
in front stand for themselves and all below them, addresses and networks for addresses,
``*`` for everything. A port behind a colon narrows an entry down.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

from regbroker.protocol.origins import Origin


def is_without_proxy(origin: Origin, no_proxy: str) -> bool:
    """Tell whether an origin is one of those in a ``NO_PROXY``."""
    return any(
        _fits(origin, entry) for entry in no_proxy.lower().replace(",", " ").split()
    )


def _fits(origin: Origin, entry: str) -> bool:
    if entry == "*":
        return True
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*):([0-9]+)", entry)
    if match is not None:
        if int(match[2]) != origin.port:
            return False
        entry = match[1]
    entry = entry.strip("[]")
    try:
        address = ip_address(origin.host)
    except ValueError:
        name = entry.removeprefix("*").strip(".")
        host = origin.host.rstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return address in ip_network(entry, strict=False)
    except ValueError:
        return False
