"""The server name in what TLS clients send first."""

from __future__ import annotations

import contextlib
import ssl

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.client_hello import MAX_HELLO_BYTES, ClientHello


def hello(host: str | None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=host)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


def in_records(data: bytes, size: int) -> bytes:
    """One record's message in several records."""
    message = data[5:]
    return b"".join(
        data[:3] + len(part).to_bytes(2, "big") + part
        for part in (
            message[start : start + size] for start in range(0, len(message), size)
        )
    )


def server_name(data: bytes) -> str | None:
    """The server name in the first bytes of a client, which come at once."""
    return ClientHello().server_name(data)


class ServerNameTests(SynchronousTestCase):
    def test_name(self) -> None:
        """The name is found, in lower case, in either version."""
        for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertEqual(
                server_name(hello("Reg.Example.test", newest)), "reg.example.test"
            )

    def test_no_name(self) -> None:
        """Clients that ask for an address, or for nothing, send no name."""
        for host in (None, "192.0.2.1"):
            self.assertEqual(server_name(hello(host)), "")

    def test_pieces(self) -> None:
        """Until all is there, more must come."""
        data = hello("a.test")
        for end in range(len(data)):
            self.assertIsNone(server_name(data[:end]), end)
        self.assertEqual(server_name(data + b"more"), "a.test")

    def test_records(self) -> None:
        """The message may come in several records."""
        data = hello("a.test")
        for size in (1, 3, 100):
            split = in_records(data, size)
            self.assertEqual(server_name(split), "a.test")
            self.assertIsNone(server_name(split[:-1]))

    def test_byte_by_byte(self) -> None:
        """Each byte is looked at once, however small the pieces and records are."""
        data = in_records(hello("a.test"), 1)
        reader = ClientHello()
        names = [reader.server_name(data[at : at + 1]) for at in range(len(data))]
        self.assertEqual((names[-1], set(names[:-1])), ("a.test", {None}))
        # As much as may come: that takes no time either.
        endless = b"\x16\x03\x01\x00\x01\x01" + b"\x16\x03\x01\x00\x01\xff" * 9999
        reader = ClientHello()
        for at in range(MAX_HELLO_BYTES):
            self.assertIsNone(reader.server_name(endless[at : at + 1]))
        self.assertEqual(reader.server_name(endless[-1:]), "")

    def test_something_else(self) -> None:
        """What is no ClientHello has no name, and is not waited for."""
        data = hello("a.test")
        for other in (
            b"\x15\x03\x01\x00\x02\x02\x28",
            b"GET / HTTP/1.1\r\n",
            # ServerHello; a ClientHello that is shorter than its lists.
            data[:5] + b"\x02" + data[6:],
            b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03",
        ):
            self.assertEqual(server_name(other), "", other)

    def test_no_extensions(self) -> None:
        """TLS 1.2 can do without extensions."""
        body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\xc0\x2f" + b"\x01\x00"
        message = b"\x01" + len(body).to_bytes(3, "big") + body
        record = b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message
        self.assertEqual(server_name(record), "")

    def test_too_long(self) -> None:
        """Nobody may send without end."""
        record = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + bytes(0x4000 - 4)
        self.assertIsNone(server_name(record[:MAX_HELLO_BYTES]))
        self.assertEqual(server_name(record + record), "")

    @given(some.binary(max_size=80))
    def test_anything(self, data: bytes) -> None:
        """Whatever comes, there is an answer."""
        for begun in (data, b"\x16\x03\x01" + data, hello_start(data)):
            name = server_name(begun)
            self.assertIsInstance(name, str | None)
            reader = ClientHello()
            # In pieces it is the same, and known as soon as it can be.
            names = [reader.server_name(begun[at : at + 1]) for at in range(len(begun))]
            known = [each for each in names if each is not None]
            self.assertEqual(known[:1], [] if name is None else [name])


def hello_start(body: bytes) -> bytes:
    """A ClientHello with this body."""
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message
