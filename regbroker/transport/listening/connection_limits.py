"""
How many connections there may be, in total and from one address.

Each connection of a client's may need a second one, to an upstream or a storage, so
what the process may open is halved, after a reserve for everything else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

#: For what is no transfer: listeners, logs, files, directories, token services, and
#: connections to upstreams that are kept though nobody uses them.
MIN_RESERVE = 64
RESERVE_SHARE = 8

#: More would need more memory than most machines have: 50 KB each, with TLS.
MAX_DEFAULT_TOTAL = 20_000

#: At least this many addresses are needed to take all connections.
ADDRESSES_FOR_ALL = 4

#: Addresses that are counted for one line of the log.
MAX_NOTED = 1000

#: A process that may open very few files serves at least this many clients.
MIN_TOTAL = 8


@dataclass(frozen=True)
class ConnectionLimits:
    """Connections at the same time: `total`, and from one address."""

    total: int
    per_address: int


class Refusal(Enum):
    """Which limit was reached, by the option that sets it."""

    TOTAL = "max-connections"
    ADDRESS = "max-connections-per-address"


def reserve(descriptors: int) -> int:
    """Return how many file descriptors are kept for what is no transfer."""
    return max(MIN_RESERVE, descriptors // RESERVE_SHARE)


def most_connections(descriptors: int) -> int:
    """Return for how many connections so many file descriptors are enough."""
    return max((descriptors - reserve(descriptors)) // 2, MIN_TOTAL)


def connection_limits(
    descriptors: int | None, total: int | None = None, per_address: int | None = None
) -> ConnectionLimits:
    """
    Return the limits for a process that may open so many files.

    `descriptors` is None where there is no limit. `total` and `per_address` are what
    the operator has written, if anything.
    """
    if total is None:
        most = MAX_DEFAULT_TOTAL
        total = (
            most if descriptors is None else min(most_connections(descriptors), most)
        )
    if per_address is None:
        per_address = max(total // ADDRESSES_FOR_ALL, 1)
    return ConnectionLimits(total, per_address)


class Occupancy:
    """Counts the connections that there are against the limits."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.total = 0
        self._by_address: Counter[str] = Counter()

    def from_address(self, address: str) -> int:
        """Return how many connections an address has."""
        return self._by_address.get(address, 0)

    def refusal(self, address: str | None) -> Refusal | None:
        """
        Say why there may be no other connection; None if there may.

        `address` is None for a connection to which the limit of an address does not
        apply.
        """
        if self.total >= self.limits.total:
            return Refusal.TOTAL
        return self.refusal_of(address)

    def refusal_of(self, address: str | None) -> Refusal | None:
        """Say the same for a connection that is counted in the total already."""
        if address is None or self.from_address(address) < self.limits.per_address:
            return None
        return Refusal.ADDRESS

    def enter(self, address: str | None) -> None:
        """Count one more connection."""
        self.total += 1
        self.belongs_to(address)

    def belongs_to(self, address: str | None) -> None:
        """Count a connection, of which there was no address before, for this one."""
        if address is not None:
            self._by_address[address] += 1

    def leave(self, address: str | None) -> None:
        """Count one connection less."""
        self.total -= 1
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


class Refusals:
    """What was refused since the last line of the log."""

    def __init__(self) -> None:
        self._by_limit: Counter[Refusal] = Counter()
        self._by_address: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._by_limit)

    def note(self, why: Refusal, address: str | None) -> None:
        """Note one more."""
        self._by_limit[why] += 1
        if address is not None and (
            address in self._by_address or len(self._by_address) < MAX_NOTED
        ):
            self._by_address[address] += 1

    def take(self, limits: ConnectionLimits) -> str:
        """Return a text for people about them, and forget them."""
        values = {
            Refusal.TOTAL: limits.total,
            Refusal.ADDRESS: limits.per_address,
        }
        texts = [
            f"{self._by_limit[why]} beyond {why.value} = {values[why]}"
            for why in Refusal
            if self._by_limit[why]
        ]
        text = ", ".join(texts)
        for address, count in self._by_address.most_common(1):
            text += f"; {count} from {address}"
            others = len(self._by_address) - 1
            if others:
                text += f", fewer from {others} other address{'es' * (others > 1)}"
        self._by_limit.clear()
        self._by_address.clear()
        return text
