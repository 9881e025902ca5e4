"""
Which addresses belong to the public internet.

A URL that a stranger wrote may lead to this machine, to its neighbours, or to
the metadata service of the cloud that it runs in. So what is not known to be
public is not: the lists below are those of IANA's special-purpose registries
(RFC 6890), without the entries that are anycast for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network; Linux takes 0.0.0.0 for itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared behind carriers' NAT; Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # public by number; in Azure the machine's own host
        "169.254.0.0/16",  # link-local; the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays for 6to4, which are no more
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

#: All that IANA has given out as global unicast. Outside are loopback, unique
#: local (with AWS's metadata), link-local, site-local, multicast and the rest.
_UNICAST_6 = IPv6Network("2000::/3")

_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: benchmarks, ORCHID, Teredo
        "2001:db8::/32",  # documentation
        "3ffe::/16",  # 6bone, which is no more
        "3fff::/20",  # documentation
    )
)

_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_TEREDO = IPv6Network("2001::/32")
_6TO4 = IPv6Network("2002::/16")

#: Interface identifiers of ISATAP, without the IPv4 address behind them.
_ISATAP = (0x00005EFE, 0x02005EFE)

#: What is no address is remembered by its beginning only.
MAX_PLACE_LENGTH = 256

#: Clients that came last, each of which logs in several times.
MAX_REMEMBERED = 1024

#: Domains that end at the edge of a network: RFC 6761, 6762 and 8375, ICANN's
#: "internal", and what people have used in their place.
_NOT_PUBLIC_DOMAINS = (
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "private",
)


def is_public_host(host: str) -> bool:
    """
    Tell whether a host, as it stands in a URL, looks like one of the public internet.

    An address must be public; a name must have a dot, and not end in a domain that
    is private by convention. What a name resolves to is not asked.
    """
    host = host.strip("[]").rstrip(".").lower()
    # A last label of digits is that of an address, in whatever form (WHATWG URL).
    if ":" in host or re.search(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$", host):
        return is_public(host)
    return "." in host and not f".{host}".endswith(
        tuple(f".{domain}" for domain in _NOT_PUBLIC_DOMAINS)
    )


def is_public(address: str) -> bool:
    """
    Tell whether an address literal is one of the public internet.

    IPv4 addresses that an IPv6 address carries are judged in its place. What is
    no address in its plain form (``127.1``, names, a zone behind ``%``) is not
    public.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return _is_public_4(parsed)
    if parsed.scope_id is not None:
        return False
    carried = list(_carried(parsed))
    if not all(_is_public_4(one) for one in carried):
        return False
    if parsed in _MAPPED or parsed in _NAT64 or parsed in _TEREDO:
        return True
    return parsed in _UNICAST_6 and not any(parsed in each for each in _NOT_PUBLIC_6)


def _is_public_4(address: IPv4Address) -> bool:
    return not any(address in network for network in _NOT_PUBLIC_4)


def _carried(address: IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses to which packets for `address` may go."""
    number = int(address)
    last = IPv4Address(number & 0xFFFFFFFF)
    if address in _MAPPED or address in _NAT64:
        yield last
    elif address in _6TO4:
        yield IPv4Address(number >> 80 & 0xFFFFFFFF)
    elif address in _TEREDO:
        # The server, and the client with every bit turned.
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)
        yield IPv4Address(~number & 0xFFFFFFFF)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield last


def is_resolved(host: str) -> bool:
    """
    Tell whether DNS decides which machine a host, without a port, is.

    It does not for an address, and for ``localhost`` (RFC 6761, 6.3).
    """
    if host.lower().rstrip(".").split(".")[-1] == "localhost":
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches an address; what is none is not one."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def place_of(address: str) -> str:
    """
    Return what counts as one address.

    A home or a rented machine has a whole /64 of IPv6; IPv4 in IPv6 is IPv4.
    What is no address, a Unix socket's peer, is itself.
    """
    is_long = len(address) > MAX_PLACE_LENGTH
    return _place_of(address) if is_long else _remembered_place(address)


def _place_of(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:MAX_PLACE_LENGTH]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64))


_remembered_place = lru_cache(MAX_REMEMBERED)(_place_of)


def as_ipv4(address: str) -> str:
    """
    Return the IPv4 address of a peer at a socket for IPv4 and IPv6 together.

    The kernel calls it ``::ffff:192.0.2.1`` there. Anything else is itself.
    """
    if address.startswith("::ffff:") and "." in address:
        return address.removeprefix("::ffff:")
    return address
