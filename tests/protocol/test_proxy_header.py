"""The header of the PROXY protocol: good ones, bad ones, and pieces of both."""

from __future__ import annotations

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.proxy_header import (
    MAX_V1_BYTES,
    Header,
    Malformed,
    Peer,
    header_v1,
    parse_header,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
CLIENT, HERE = Peer("203.0.113.7", 1234), Peer("192.0.2.1", 443)
CLIENT_6, HERE_6 = Peer("2001:db8::7", 1234), Peer("2001:db8::1", 443)


def v2(
    addresses: bytes,
    family: int = 0x11,
    command: int = 0x21,
    length: int | None = None,
) -> bytes:
    """A header of version 2; `length` is the right one unless it is given."""
    size = len(addresses) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, family, size) + addresses


INET = (
    socket.inet_aton(CLIENT.host)
    + socket.inet_aton(HERE.host)
    + struct.pack("!HH", CLIENT.port, HERE.port)
)
INET6 = (
    socket.inet_pton(socket.AF_INET6, CLIENT_6.host)
    + socket.inet_pton(socket.AF_INET6, HERE_6.host)
    + struct.pack("!HH", CLIENT_6.port, HERE_6.port)
)

#: Headers that are right, with the client that they tell.
GOOD = [
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 1234 443\r\n", CLIENT),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 1234 443\r\n", CLIENT_6),
    (b"PROXY TCP6 2001:DB8:0::7 ::ffff:1.2.3.4 1234 443\r\n", CLIENT_6),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n", None),
    (v2(INET), CLIENT),
    (v2(INET, family=0x12), CLIENT),
    (v2(INET6, family=0x21), CLIENT_6),
    # What a proxy adds, such as the name that its client asked for by SNI.
    (v2(INET + b"\x02\x00\x0bexample.com"), CLIENT),
    (v2(bytes(216), family=0x31), None),
    (v2(b"", family=0x00), None),
    (v2(b"", family=0x00, command=0x20), None),
    (v2(INET, command=0x20), None),
]

#: What is wrong, and what is said of it.
BAD = [
    (b"GET /v2/ HTTP/1.1\r\n\r\n", "no PROXY line"),
    (b"\x16\x03\x01" + bytes(40), "no PROXY line"),
    (b"proxy TCP4 203.0.113.7 192.0.2.1 1 2\r\n", "no PROXY line"),
    (b"PROXY\r\n", "no PROXY line"),
    (b"PROXY x\r\n", "unknown address family"),
    (b"PROXY TCP5 203.0.113.7 192.0.2.1 1 2\r\n", "unknown address family"),
    (b"PROXY  TCP4 203.0.113.7 192.0.2.1 1 2\r\n", "unknown address family"),
    (b"PROXY tcp4 203.0.113.7 192.0.2.1 1 2\r\n", "unknown address family"),
    (b"PROXY TCP4\r\n", "without two addresses"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 1\r\n", "without two addresses"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2 3\r\n", "without two addresses"),
    (b"PROXY TCP4 banana 192.0.2.1 1 2\r\n", "wrong address"),
    (b"PROXY TCP4 203.0.113.7 banana 1 2\r\n", "wrong address"),
    (b"PROXY TCP4 203.0.113.700 192.0.2.1 1 2\r\n", "wrong address"),
    (b"PROXY TCP4 203.0.113.07 192.0.2.1 1 2\r\n", "wrong address"),
    (b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n", "wrong address"),
    (b"PROXY TCP6 203.0.113.7 192.0.2.1 1 2\r\n", "wrong address"),
    (b"PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2\r\n", "wrong address"),
    (b"PROXY TCP4 \xff\xfe 192.0.2.1 1 2\r\n", "wrong address"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 x 2\r\n", "wrong port"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 1 65536\r\n", "wrong port"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 -1 2\r\n", "wrong port"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 +1 2\r\n", "wrong port"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 01 2\r\n", "wrong port"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\nGET /", "CR LF"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\rG", "CR LF"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2" + b" " * 90, "without an end"),
    (v2(INET, command=0x11), "unknown version or command"),
    (v2(INET, command=0x22), "unknown version or command"),
    (v2(INET, family=0x10), "unknown address family"),
    (v2(INET, family=0x41), "unknown address family"),
    (v2(INET, family=0x13), "unknown address family"),
    (v2(INET, length=11), "too short for its addresses"),
    (v2(INET, length=0), "too short for its addresses"),
    (v2(INET, family=0x21), "too short for its addresses"),
    (v2(INET, length=65535), "more than 4096 bytes"),
    (SIGNATURE[:-1] + b"\x0b" + v2(INET)[12:], "no PROXY line"),
]


class ParseHeaderTests(SynchronousTestCase):
    def test_good(self) -> None:
        """The client's address, and what comes behind the header, untouched."""
        for data, client in GOOD:
            for rest in (b"", b"GET /v2/ HTTP/1.1\r\n", SIGNATURE):
                header = parse_header(data + rest)
                assert header is not None, data
                self.assertEqual((header.source, header.rest), (client, rest), data)
                self.assertEqual(header.destination is None, client is None, data)

    def test_pieces(self) -> None:
        """A good header that has not come whole is waited for."""
        for data, _ in GOOD:
            for length in range(1, len(data)):
                self.assertIsNone(parse_header(data[:length]), data[:length])

    def test_bad(self) -> None:
        """What is wrong is said."""
        for data, words in BAD:
            with self.assertRaises(Malformed, msg=data) as caught:
                parse_header(data)
            self.assertIn(words, str(caught.exception), data)

    def test_bound(self) -> None:
        """What never ends is not gathered for ever."""
        parse_header(b"PROXY " + b"x" * (MAX_V1_BYTES - 7))
        with self.assertRaises(Malformed):
            parse_header(b"PROXY " + b"x" * (MAX_V1_BYTES - 6))

    def test_round(self) -> None:
        """What we write is what we read."""
        for source, destination in ((CLIENT, HERE), (CLIENT_6, HERE_6)):
            written = header_v1(source, destination)
            self.assertEqual(parse_header(written), Header(source, destination, b""))

    @given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", SIGNATURE]))
    def test_anything(self, data: bytes, start: bytes) -> None:
        """Nothing raises anything else."""
        try:
            header = parse_header(start + data)
        except Malformed:
            return
        if header is not None:
            self.assertTrue((start + data).endswith(header.rest))
