"""Records through memory BIOs."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.pyopenssl_private import RECORD_BYTES, receive
from regbroker.transport.tls.memory_bios import (
    MOST_RECORDS,
    MUCH_BYTES,
    SEALED_BYTES,
    SOME_RECORDS,
    drain,
    encrypt,
    fit_for_bio,
    records_at_once,
)
from tests.transport.tls.handshakes import connected


class MemoryBioTests(SynchronousTestCase):
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

    def test_nothing_to_send(self) -> None:
        """Nothing comes from a side that has nothing to say."""
        client, _ = connected()
        self.assertEqual(drain(client), [])
        self.assertEqual(encrypt(client, [b""], 1), ([], 0, None))
