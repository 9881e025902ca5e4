"""
Headers that cross the proxy, and those that are made here.

Which cross is said in `regbroker.protocol.header_table`. RFC 9110, 7.6.1: headers about
one connection, and those that ``Connection`` names, end with that connection.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Literal

from regbroker.protocol.addresses import as_ipv4
from regbroker.protocol.by_name import ByName
from regbroker.protocol.header_table import (
    HOP_BY_HOP,
    Direction,
    Way,
    is_hop_by_hop,
    way,
)
from regbroker.protocol.mirrors import path_with_ns

#: What this process calls itself in ``Via`` (RFC 9110, 7.6.3): its host may have many
#: names, and other machines have the same.
PSEUDONYM = f"regbroker-{secrets.token_hex(4)}"

#: The ``Via`` of a request that has come through no other regbroker.
OUR_VIA = (b"Via", b"1.1 " + PSEUDONYM.encode())

_OF_REGBROKERS = re.compile(rb"1\.1 regbroker-[0-9a-f]{8}")

#: A request id that is believed: what other programs make (UUIDs, ULIDs, base64), and
#: nothing that a log, a header or JSON would have to quote.
_REQUEST_ID = re.compile(r"[0-9A-Za-z._:+/=@-]{1,64}")

_WITH_PORT = re.compile(r"(?:(?P<v4>[0-9.]+)|\[(?P<v6>[0-9A-Fa-f:.]+)\]):[0-9]{1,5}")

Header = tuple[bytes, bytes]

#: What the peer of a unix socket is called, and what ``trusted-proxies`` calls all of
#: them: such a peer has no address.
UNIX: Literal["unix"] = "unix"

#: Peers that may be trusted.
Network = IPv4Network | IPv6Network | Literal["unix"]


def raw_headers(headers: Any) -> list[Header]:
    """Return the headers of a `twisted.web.http_headers.Headers`, in order."""
    return [
        (name, value) for name, values in headers.getAllRawHeaders() for value in values
    ]


def passing(headers: Iterable[Header], direction: Direction) -> list[Header]:
    """Return the headers that go on one way as they came, in order."""
    goes_on = way(direction)
    return [header for header in headers if goes_on[header[0]]]


def limit_headers(headers: Iterable[Header]) -> list[Header]:
    """Return what an upstream says of its limits, and when to come again."""
    return passing(headers, Direction.LIMITS)


def _options_of(value: bytes) -> frozenset[bytes]:
    return frozenset(option.strip().lower() for option in value.split(b","))


_options = ByName(_options_of)


def connection_options(values: Sequence[bytes]) -> frozenset[bytes]:
    """Return the header names that ``Connection`` headers list, in lower case."""
    if len(values) == 1:
        return _options[values[0]]
    return frozenset().union(*(_options[value] for value in values))


#: What ``Connection`` names in a message without it.
NO_OPTIONS: frozenset[bytes] = frozenset()

#: Options that name no header which would go on without them.
_ABOUT_CONNECTIONS = frozenset(
    {b"close", *(row.name.lower().encode() for row in HOP_BY_HOP)}
)


def end_to_end(
    headers: Iterable[Header], options: frozenset[bytes]
) -> Iterator[Header]:
    """
    Yield the headers that outlive their connection, in order.

    `options` is what `connection_options` returned for the same message.
    """
    for name, value in headers:
        if not is_hop_by_hop(name) and name.lower() not in options:
            yield name, value


def crossing(
    headers: Iterable[Header], options: frozenset[bytes], goes_on: Way
) -> list[Header]:
    """
    Return the headers of a message that go on, before ours are added, in order.

    `options` are as for `end_to_end`, `goes_on` is the `way` of a direction. For
    requests that is `Direction.OURS` where regbroker itself is the client: nobody there
    knows the client, so none of its credentials is for there, by whatever name.
    """
    if options <= _ABOUT_CONNECTIONS:
        return [header for header in headers if goes_on[header[0]]]
    return [
        header
        for header in headers
        if goes_on[header[0]] and header[0].lower() not in options
    ]


def via(values: Collection[bytes]) -> Header:
    """
    Return the ``Via`` of a request whose own is `values`.

    It names the regbrokers that a request has come through, this one last. Other
    proxies are about the client's side of the way, and stay here.
    """
    if not values:
        return OUR_VIA
    before = _OF_REGBROKERS.findall(b",".join(values))
    return b"Via", b", ".join([*before, OUR_VIA[1]])


def came_from_here(values: Iterable[bytes]) -> bool:
    """Tell whether a request with this ``Via`` is one that was sent from here."""
    ours = PSEUDONYM.encode()
    return any(ours in value for value in values)


@dataclass(frozen=True)
class Forwarded:
    """
    How a request came to us.

    `address` is the client's, as far as trusted proxies tell; `forwarded_for`
    the whole chain, for the upstream; `scheme` is ``http`` or ``https``; `host`
    is what the client has asked for, with its port if it gave one; `source` the
    registry for whose mirror it takes us, empty for none. `headers` tell the upstream.
    """

    address: str
    forwarded_for: str
    scheme: str
    host: str
    source: str = ""
    headers: tuple[Header, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Many requests come the same way.
        headers = (
            (b"X-Forwarded-For", self.forwarded_for.encode()),
            (b"X-Forwarded-Proto", self.scheme.encode()),
            (b"X-Forwarded-Host", self.host.encode()),
            (b"X-Real-IP", self.address.encode()),
        )
        object.__setattr__(self, "headers", headers)

    def realm(self, token_path: str) -> str:
        """
        Return the URL of the token service for a client that came this way.

        Token requests do not say for which source they are, so the path does.
        """
        path = path_with_ns(token_path, self.source)
        return f"{self.scheme}://{self.host}{path}"


def peer_name(address: object) -> str:
    """Return how a peer is called: by its address, or `UNIX`."""
    host = getattr(address, "host", UNIX)
    return as_ipv4(host) if isinstance(host, str) else UNIX


def came_directly(peer: str, secure: bool, host: str) -> Forwarded:
    """Return how a request came whose peer is the client: nothing else is believed."""
    scheme = "https" if secure else "http"
    return Forwarded(peer, peer, scheme, host)


def is_request_id(claimed: str) -> bool:
    """Tell whether a trusted proxy's ``X-Request-ID`` is one to go on with."""
    return _REQUEST_ID.fullmatch(claimed) is not None


def parse_forwarded(
    peer: str,
    secure: bool,
    host: str,
    claims: dict[str, str],
    trusted: Iterable[Network],
) -> Forwarded:
    """
    Decide what to believe about a request's way.

    `peer` is the address of the connection; `claims` are the request's
    ``x-forwarded-for``, ``-proto`` and ``-host`` (lower-case keys), believed when
    `peer` lies in one of the `trusted` networks. The client's address is the last one
    in the chain that is not a trusted proxy's.
    """
    networks = tuple(trusted)
    direct = came_directly(peer, secure, host)
    if not is_trusted(peer, networks):
        return direct
    chain = [hop.strip() for hop in claims.get("x-forwarded-for", "").split(",")]
    # An entry that is no address was made up, and so was what is before it.
    believable: list[str] = []
    for hop in reversed([hop for hop in chain if hop]):
        address = _address(hop)
        if address is None or "%" in hop:
            break
        believable.insert(0, str(address))
        if not is_trusted(hop, networks):
            break
    client = believable[0] if believable else peer
    claimed_scheme = _first(claims.get("x-forwarded-proto", "")).lower()
    return Forwarded(
        client,
        # A unix socket is no address that others could understand.
        ", ".join([*believable, *([] if believable and peer == UNIX else [peer])]),
        claimed_scheme if claimed_scheme in ("http", "https") else direct.scheme,
        _first(claims.get("x-forwarded-host", "")) or host,
    )


def _first(text: str) -> str:
    """Return what the hop nearest to the client has said."""
    return text.partition(",")[0].strip()


def _address(text: str) -> IPv4Address | IPv6Address | None:
    # Some balancers write the client's port behind its address.
    with_port = _WITH_PORT.fullmatch(text)
    if with_port is not None:
        text = with_port["v4"] or with_port["v6"]
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def is_trusted(text: str, networks: tuple[Network, ...]) -> bool:
    """Tell whether a peer lies in one of some networks, or is a unix socket's."""
    if not networks:
        return False
    if text == UNIX:
        return UNIX in networks
    address = _address(text)
    return address is not None and any(
        address in network for network in networks if not isinstance(network, str)
    )
