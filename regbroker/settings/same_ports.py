"""Listeners that cannot all be opened: the same port, or the same path, twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from itertools import combinations
from typing import NamedTuple

from regbroker.transport.listening.listeners import Listener


class _Place(NamedTuple):
    """Where a listener listens: a port on an interface, or a path."""

    kind: str
    where: str
    interface: str


def clashes(listeners: Sequence[Listener]) -> Iterator[str]:
    """Yield a line for each two listeners of which only one can be opened."""
    places = [(listener.text, _place(listener)) for listener in listeners]
    for (first, one), (second, other) in combinations(places, 2):
        if one is None or other is None or one[:2] != other[:2]:
            continue
        if _meet(one.interface, other.interface):
            what = f"port {one.where}" if one.kind == "tcp" else one.where
            yield (
                f"'{first}' and '{second}' both want {what}; take one of them out, or "
                "write another port"
            )


def _place(listener: Listener) -> _Place | None:
    """Return where a listener listens; None where that is not known, or any port."""
    where = listener.where
    if where.path is not None:
        return _Place(where.kind, str(where.path), "")
    if not where.port:
        return None
    return _Place(where.kind, str(where.port), where.interface)


def _meet(one: str, other: str) -> bool:
    """Tell whether a port of two interfaces is the same port."""
    if one == other:
        return True
    first, second = _version(one), _version(other)
    if first is None or second is None:
        # A name may be any address.
        return False
    # On Linux :: is for IPv4, too, unless the machine says otherwise.
    if one == "::" or other == "::":
        return True
    return first == second and ("" in (one, other) or "0.0.0.0" in (one, other))


def _version(interface: str) -> int | None:
    """Return 4 or 6 for an address, 4 for none, None for a name."""
    if not interface:
        return 4
    try:
        return ip_address(interface).version
    except ValueError:
        return None
