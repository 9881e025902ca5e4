"""Records through memory BIOs."""

from __future__ import annotations

import contextlib
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.client.trust import client_options, trust_root
from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.pyopenssl_private import RECORD_BYTES, receive
from regbroker.transport.tls.records import (
    MOST_RECORDS,
    MUCH_BYTES,
    SEALED_BYTES,
    SOME_RECORDS,
    drain,
    encrypt,
    fit_for_bio,
    is_end_of_file,
    records_at_once,
    whole_records,
)
from tests.certificates import Looking, authority, issued


def connected(newest: int = SSL.TLS1_3_VERSION) -> tuple[SSL.Connection, ...]:
    """A client and a server after their handshake."""
    pair = issued("a.test")
    context = certificate_options(pair.certificate, pair.key).getContext()
    client = Looking("a.test", newest=newest).clientConnectionForTLS(None)
    server = SSL.Connection(context, None)
    server.set_accept_state()
    shake_hands(client, server)
    return client, server


def shake_hands(client: SSL.Connection, server: SSL.Connection) -> None:
    """Let both have their handshake."""
    ends = (client, server)
    for one, other in (ends, ends[::-1]) * 3:
        with contextlib.suppress(SSL.WantReadError):
            one.do_handshake()
        for record in drain(one):
            other.bio_write(record)
    # What the server has to say after the handshake is read, too.
    assert receive(client) == (b"", None)


class RecordsTests(SynchronousTestCase):
    def test_pieces(self) -> None:
        """All bytes come, none of the pieces is larger than a BIO should be."""
        large = MOST_RECORDS * SEALED_BYTES
        sizes = (1, SEALED_BYTES, large, large + 1, 3 * large)
        for size, at_once in product(sizes, (1, SOME_RECORDS, MOST_RECORDS)):
            most = at_once * SEALED_BYTES
            data = bytes(range(256)) * (size // 256 + 1)
            cut = list(fit_for_bio(data[:size], at_once))
            self.assertEqual(b"".join(cut), data[:size])
            self.assertEqual([p for p in cut if not 0 < len(p) <= most], [])

    def test_at_once(self) -> None:
        """Little passes through a BIO until a connection has carried much."""
        for carried, size, at_once in (
            (0, 1, 1),
            (MUCH_BYTES, 2 * READ_BYTES, 1),
            (MUCH_BYTES + 1, 1, SOME_RECORDS),
            (MUCH_BYTES + 1, READ_BYTES, SOME_RECORDS),
            (MUCH_BYTES + 1, READ_BYTES + 1, MOST_RECORDS),
        ):
            self.assertEqual(records_at_once(carried, size), at_once)

    def test_held(self) -> None:
        """A BIO never holds more than so many records."""
        for at_once in (1, MOST_RECORDS):
            client, _ = connected()
            data = [bytes(RECORD_BYTES - 5), bytes(9 * RECORD_BYTES), b"end"]
            taken, sent, problem = encrypt(client, data, at_once)
            self.assertEqual((sent, problem), (10 * RECORD_BYTES - 2, None))
            self.assertLessEqual(max(map(len, taken)), at_once * SEALED_BYTES)
            self.assertEqual(len(taken), -(-10 // at_once))

    def test_records_are_full(self) -> None:
        """Large data goes in full records, as few as there can be."""
        versions = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)
        for version, at_once in product(versions, (1, MOST_RECORDS)):
            client, server = connected(version)
            data = bytes(6 * RECORD_BYTES + 5)
            records, sent, problem = encrypt(client, [data], at_once)
            self.assertEqual((sent, problem), (len(data), None))
            server.bio_write(b"".join(records))
            plain = [receive(server, 1)[0] for _ in range(7)]
            self.assertEqual([len(p) for p in plain], [RECORD_BYTES] * 6 + [5])

    @given(st.lists(st.integers(0, 3 * RECORD_BYTES), max_size=6))
    def test_whole_records(self, sizes: list[int]) -> None:
        """Nothing is lost, and only the last block does not fill its records."""
        data = [bytes([n]) * size for n, size in enumerate(sizes)]
        blocks = list(whole_records(data))
        self.assertEqual(b"".join(blocks), b"".join(data))
        self.assertEqual([b for b in blocks[:-1] if len(b) % RECORD_BYTES], [])
        self.assertNotIn(0, [len(b) for b in blocks])

    def test_a_chunk(self) -> None:
        """A chunk's size and end go into records with its data, which is not copied."""
        data = bytes(5 * RECORD_BYTES)
        blocks = list(whole_records([b"14000\r\n", data, b"\r\n"]))
        self.assertEqual(
            [len(block) for block in blocks], [RECORD_BYTES, 4 * RECORD_BYTES, 9]
        )
        middle = blocks[1]
        assert isinstance(middle, memoryview)
        self.assertIs(middle.obj, data)

    @settings(max_examples=30, deadline=None)
    @given(st.data())
    def test_any_split(self, data: st.DataObject) -> None:
        """What comes out is what went in, however both are cut."""
        client, server = connected()
        sizes = st.integers(1, 3 * RECORD_BYTES)
        at_once = st.integers(1, MOST_RECORDS)
        written = [
            bytes([n % 256]) * size
            for n, size in enumerate(data.draw(st.lists(sizes, min_size=1, max_size=5)))
        ]
        records: list[bytes] = []
        for each in written:
            records += encrypt(client, [each], data.draw(at_once))[0]
        wire, plain = b"".join(records), b""
        while wire:
            size = data.draw(st.integers(1, 2 * MOST_RECORDS * SEALED_BYTES))
            for piece in fit_for_bio(wire[:size], data.draw(at_once)):
                server.bio_write(piece)
                some, end = receive(server)
                self.assertIsNone(end)
                plain += some
            wire = wire[size:]
        self.assertEqual(plain, b"".join(written))

    def test_whole_writes(self) -> None:
        """Clients and servers encrypt many records in one call."""
        pair = issued("a.test")
        ca_file = Path(self.mktemp())
        ca_file.write_bytes(authority().certificate)
        options = client_options("a.test", trust_root(ca_file))
        dialling: Any = SimpleNamespace(factory=SimpleNamespace(wrappedFactory=None))
        client = options.clientConnectionForTLS(dialling)
        client.set_connect_state()
        server = certificate_options(pair.certificate, pair.key).serverConnectionForTLS(
            None
        )
        server.set_accept_state()
        shake_hands(client, server)
        self.assertEqual(server.get_servername(), b"a.test")
        for end in client, server:
            self.assertEqual(end.send(bytes(3 * RECORD_BYTES)), 3 * RECORD_BYTES)

    def test_ends(self) -> None:
        """close_notify, a cut stream, and a broken record are told apart."""
        client, server = connected()
        client.shutdown()
        server.bio_write(b"".join(drain(client)))
        self.assertIsInstance(receive(server)[1], SSL.ZeroReturnError)
        client, server = connected()
        server.bio_shutdown()
        _, cut = receive(server)
        assert cut is not None
        self.assertTrue(is_end_of_file(cut))
        client, server = connected()
        server.bio_write(b"\x17\x03\x03\x00\x20" + bytes(32))
        _, broken = receive(server)
        assert broken is not None
        self.assertFalse(is_end_of_file(broken))

    def test_nothing_to_send(self) -> None:
        """Nothing comes from a side that has nothing to say."""
        client, _ = connected()
        self.assertEqual(drain(client), [])
        self.assertEqual(encrypt(client, [b""], 1), ([], 0, None))

    def test_end_of_file_of_openssl(self) -> None:
        """No reason is the end, as are OpenSSL's word for it and a socket's errors."""
        for error, is_end in (
            (SSL.SysCallError(-1, "Unexpected EOF"), True),
            (SSL.SysCallError(104, "ECONNRESET"), True),
            (SSL.Error([]), True),
            (SSL.Error(), True),
            (SSL.Error([("SSL", "", "unexpected eof while reading")]), True),
            (SSL.Error([("SSL", "", "bad record mac")]), False),
        ):
            self.assertEqual(is_end_of_file(error), is_end, error)
