"""Blocks that fill records."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.client.trust import client_options, trust_root
from regbroker.transport.pyopenssl_private import RECORD_BYTES
from regbroker.transport.tls.records import whole_records
from tests.certificates import authority, issued
from tests.transport.tls.handshakes import shake_hands


class RecordsTests(SynchronousTestCase):
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
