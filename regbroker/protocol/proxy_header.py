"""
The header of the PROXY protocol, versions 1 and 2, as bytes that come piece by piece.

The header says whose connection a proxy passes on
(https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). What is behind it is
trusted as that client's, so a header is understood whole, or it is refused.
"""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

#: "PROXY TCP6 ..." at its longest, with the end of the line (section 2.1).
MAX_V1_BYTES = 107

#: The addresses, and what else a proxy tells of its client, such as a certificate's
#: name. HAProxy sends some hundred bytes with all of its options.
MAX_V2_BYTES = 4096

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"

#: Of version 2: the signature, version and command, family, and a length.
_FIXED = struct.Struct("!12sBBH")

_LOCAL, _PROXY = 0x20, 0x21

#: What the addresses of each family take (section 2.2).
_LENGTHS = {
    0x00: 0,
    0x11: 12,
    0x12: 12,
    0x21: 36,
    0x22: 36,
    0x31: 216,
    0x32: 216,
}

_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")


class Malformed(ValueError):
    """It is no PROXY header; the text says what is wrong with it."""


class Peer(NamedTuple):
    """An address, and a port."""

    host: str
    port: int


class Header(NamedTuple):
    """
    A whole header.

    `source` is the client, and `destination` what it has connected to; both are None
    where the proxy speaks for itself, or does not know. `rest` is what came behind.
    """

    source: Peer | None
    destination: Peer | None
    rest: bytes


def parse_header(data: bytes) -> Header | None:
    """
    Parse the beginning of a connection; None while more has to come.

    Raises `Malformed`.
    """
    if data.startswith(_V1) or _V1.startswith(data):
        return _version_1(data)
    if data.startswith(_V2) or _V2.startswith(data):
        return _version_2(data)
    raise Malformed("no PROXY line")


def header_v1(source: Peer, destination: Peer) -> bytes:
    """Return the line for a client; both are of the same family."""
    family = "TCP6" if ":" in source.host else "TCP4"
    return (
        f"PROXY {family} {source.host} {destination.host} {source.port} "
        f"{destination.port}\r\n"
    ).encode("ascii")


def _version_1(data: bytes) -> Header | None:
    line, end, rest = data[:MAX_V1_BYTES].partition(b"\r\n")
    if not end:
        if len(data) >= MAX_V1_BYTES:
            raise Malformed("a PROXY line without an end")
        if b"\n" in line or b"\r" in line[:-1]:
            raise Malformed("a PROXY line that does not end with CR LF")
        return None
    rest += data[MAX_V1_BYTES:]
    words = line.split(b" ")[1:]
    if words[:1] == [b"UNKNOWN"]:
        # What follows is to be ignored.
        return Header(None, None, rest)
    if words[:1] not in ([b"TCP4"], [b"TCP6"]):
        raise Malformed("a PROXY line with an unknown address family")
    if len(words) != 5:
        raise Malformed("a PROXY line without two addresses and two ports")
    family = IPv4Address if words[0] == b"TCP4" else IPv6Address
    hosts = [_host(word, family) for word in words[1:3]]
    ports = [_port(word) for word in words[3:]]
    source, destination = map(Peer, hosts, ports)
    return Header(source, destination, rest)


def _host(word: bytes, family: type[IPv4Address] | type[IPv6Address]) -> str:
    try:
        address = ip_address(word.decode("ascii"))
    except ValueError:
        address = None
    # A zone has no meaning on another machine.
    if not isinstance(address, family) or b"%" in word:
        raise Malformed("a PROXY line with a wrong address")
    return str(address)


def _port(word: bytes) -> int:
    if not _PORT.fullmatch(word) or int(word) > 65535:
        raise Malformed("a PROXY line with a wrong port")
    return int(word)


def _version_2(data: bytes) -> Header | None:
    if len(data) < _FIXED.size:
        # The rest of it is judged when it is there.
        return None
    _, command, family, length = _FIXED.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise Malformed("a PROXY header of an unknown version or command")
    size = _FIXED.size + length
    if size > MAX_V2_BYTES:
        raise Malformed(f"a PROXY header of more than {MAX_V2_BYTES} bytes")
    if command == _PROXY:
        if family not in _LENGTHS:
            raise Malformed("a PROXY header with an unknown address family")
        if length < _LENGTHS[family]:
            raise Malformed("a PROXY header that is too short for its addresses")
    if len(data) < size:
        return None
    addresses, rest = data[_FIXED.size : size], data[size:]
    if command == _LOCAL:
        # A check of the proxy's own, whatever else it says.
        return Header(None, None, rest)
    if family in (0x11, 0x12):
        one, two, *ports = struct.unpack_from("!4s4sHH", addresses)
    elif family in (0x21, 0x22):
        one, two, *ports = struct.unpack_from("!16s16sHH", addresses)
    else:
        # A socket's name on the proxy's machine says nothing here.
        return Header(None, None, rest)
    source, destination = map(Peer, (str(ip_address(o)) for o in (one, two)), ports)
    return Header(source, destination, rest)
