"""What a peer sends, with records of all kinds, cut anywhere."""

from __future__ import annotations

import contextlib
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.tls.incoming import OVERHEAD_BYTES, TRIES, Incoming
from regbroker.transport.tls.records import RECORD_BYTES, SEALED_BYTES, drain
from tests.certificates import issued

#: Content types, and messages of the handshake (RFC 8446, 5.1, 4).
ALERT, HANDSHAKE, DATA = 21, 22, 23
CLOSE_NOTIFY = bytes([1, 0])
KEY_UPDATE = bytes([24, 0, 0, 1, 0])


class Sealer:
    """Makes records as a peer whose traffic secret is known might (RFC 8446, 5, 7)."""

    def __init__(self, secret: bytes, sent: int) -> None:
        self._secret = secret
        self._begin()
        #: The number of the next record; so many were sent already.
        self._number = sent

    def _begin(self) -> None:
        self._key = AESGCM(self._expand(b"key", 32))
        self._mask = int.from_bytes(self._expand(b"iv", 12), "big")

    def _expand(self, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        return HKDFExpand(SHA384(), size, info).derive(self._secret)

    def record(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        """Return one record."""
        inner = content + bytes([kind]) + bytes(padding)
        head = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        nonce = (self._mask ^ self._number).to_bytes(12, "big")
        self._number += 1
        return head + self._key.encrypt(nonce, inner, head)

    def key_update(self) -> bytes:
        """Return the record after which there are other keys."""
        record = self.record(HANDSHAKE, KEY_UPDATE)
        self._secret = self._expand(b"traffic upd", 48)
        self._begin()
        self._number = 0
        return record


class Receiver:
    """
    A connection after its handshake, with what belongs to it; `seal` is its peer.

    `asked` counts how often OpenSSL was asked, `vain` how often for nothing.
    """

    def __init__(
        self,
        is_client: bool = False,
        newest: int = SSL.TLS1_3_VERSION,
        suite: bytes = b"TLS_AES_256_GCM_SHA384",
    ) -> None:
        pair = issued("a.test")
        context = certificate_options(pair.certificate, pair.key).getContext()
        secrets: dict[str, bytes] = {}

        def note(_: Any, line: bytes) -> None:
            name, _, secret = line.decode("ascii").split()
            secrets[name] = bytes.fromhex(secret)

        context.set_keylog_callback(note)
        trusting = SSL.Context(SSL.TLS_METHOD)
        trusting.set_max_proto_version(newest)
        for each in context, trusting:
            # OpenSSL has a short tag for less than what it asks for by default.
            each.set_cipher_list(b"ECDHE+AESGCM:@SECLEVEL=0")
            each.set_tls13_ciphersuites(suite)
        server = SSL.Connection(context, None)
        server.set_accept_state()
        client = SSL.Connection(trusting, None)
        client.set_connect_state()
        self._connection = client if is_client else server
        self.peer = server if is_client else client
        self.plain: list[bytes] = []
        self.end: SSL.Error | None = None
        self.asked = self.vain = 0
        self.incoming = Incoming()
        last = {client: 0, server: 0}
        for one, other in ((client, server), (server, client), (client, server)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            flight = b"".join(drain(one))
            other.bio_write(flight)
            last[other] = len(flight)
        server.do_handshake()
        #: What the server sends behind the handshake of TLS 1.3.
        self.tickets = b"".join(drain(server))
        if not is_client:
            client.bio_write(self.tickets)
            client.do_handshake()
        self.incoming.secured(self._connection)
        self.incoming.decrypt(self._connection, last[self._connection], self.plain)
        if newest == SSL.TLS1_3_VERSION:
            who = "SERVER" if is_client else "CLIENT"
            self.seal = Sealer(secrets[f"{who}_TRAFFIC_SECRET_0"], 2 * is_client)

    def recv(self, size: int) -> bytes:
        """Ask OpenSSL, and count it."""
        self.asked += 1
        try:
            return self._connection.recv(size)
        except SSL.WantReadError:
            self.vain += 1
            raise

    def get(self, data: bytes) -> None:
        """Receive bytes, as a delivery of the transport brings them."""
        counted: Any = self
        for piece in self.incoming.pieces(data, 0):
            self._connection.bio_write(piece)
            self.end = self.incoming.decrypt(counted, len(piece), self.plain)
            if self.end is not None:
                return

    def get_all(self, *deliveries: bytes) -> tuple[int, int]:
        """Receive several; return how often OpenSSL was asked, and for nothing."""
        self.asked = self.vain = 0
        for data in deliveries:
            self.get(data)
        return self.asked, self.vain

    @property
    def text(self) -> bytes:
        """All that was received."""
        return b"".join(self.plain)


class IncomingTests(SynchronousTestCase):
    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_all_at_once(self, draw: st.DataObject) -> None:
        """Whatever is whole is delivered with its last byte, and none before."""
        is_client = draw.draw(st.booleans())
        receiver = Receiver(is_client)
        sizes = st.integers(0, 60) | st.integers(0, RECORD_BYTES)
        kinds = st.lists(
            st.tuples(st.sampled_from(("data", "padded", "update")), sizes),
            min_size=1,
            max_size=12,
        )
        wire = receiver.tickets if is_client else b""
        ends: list[tuple[int, int]] = []
        for kind, size in draw.draw(kinds):
            content = b"" if kind == "update" else bytes(size)
            if kind == "update":
                wire += receiver.seal.key_update()
            else:
                room = min(RECORD_BYTES - size, 300) * (kind == "padded")
                padding = draw.draw(st.integers(0, room))
                wire += receiver.seal.record(DATA, content, padding)
            ends.append((len(wire), len(content)))
        cuts = st.integers(1, 60) | st.integers(1, 2 * SEALED_BYTES)
        given = 0
        while given < len(wire):
            # Often just where a record ends, or a byte beside that.
            near = [end - given + n for end, _ in ends for n in (-1, 0, 1)]
            near = [size for size in near if size > 0]
            size = draw.draw(st.sampled_from(near) | cuts if near else cuts)
            receiver.get(wire[given : given + size])
            given += size
            whole = sum(content for end, content in ends if end <= given)
            self.assertEqual((len(receiver.text), receiver.end), (whole, None))

    def test_nothing_in_vain(self) -> None:
        """From the second message on, OpenSSL is asked once for each."""
        for is_client in (False, True):
            for with_tickets in (False, True):
                receiver = Receiver(is_client)
                record = receiver.seal.record
                first = record(DATA, b"first")
                if is_client and with_tickets:
                    first = receiver.tickets + first
                elif is_client:
                    receiver.get(receiver.tickets)
                self.assertEqual(receiver.get_all(first), (2, 1))
                self.assertEqual(receiver.get_all(record(DATA, b"2")), (1, 0))
                together = record(DATA, b"3") + record(DATA, b"4")
                self.assertEqual(receiver.get_all(together), (2, 0))
                parted = record(DATA, b"5")
                # The second part is tried with its last byte apart.
                asked = receiver.get_all(parted[:9], parted[9:])
                self.assertEqual(asked, (3, 2))
                self.assertEqual(receiver.get_all(record(DATA, b"6")), (1, 0))
                self.assertEqual(receiver.text, b"first23456")

    def test_exact_again(self) -> None:
        """A ticket, a key update or padding is made up for with the next message."""
        for before in (
            lambda seal: seal.key_update(),
            lambda seal: seal.record(DATA, b"", 30),
            lambda seal: seal.record(DATA, b"padded", 200),
        ):
            receiver = Receiver()
            receiver.get(receiver.seal.record(DATA, b"1"))
            receiver.get(before(receiver.seal))
            self.assertEqual(receiver.get_all(receiver.seal.record(DATA, b"2")), (2, 1))
            self.assertEqual(receiver.get_all(receiver.seal.record(DATA, b"3")), (1, 0))

    def test_tries(self) -> None:
        """The last byte is not given alone for ever where no record ends with it."""
        receiver = Receiver()
        wire = b"".join(receiver.seal.record(DATA, bytes(40)) for _ in range(40))
        size = 40 + OVERHEAD_BYTES
        receiver.get(wire[:5])
        parts = []
        for start in range(5, len(wire) - size, size):
            data = wire[start : start + size]
            parts.append(len(list(receiver.incoming.pieces(data, 0))))
            receiver.get(data)
        self.assertEqual(receiver.text, bytes(40 * 39))
        self.assertEqual(parts.count(2), TRIES // 2)
        self.assertEqual(parts[-1], 1)

    def test_close(self) -> None:
        """The end is seen with its last byte, also right behind data."""
        for cut in range(1, 60):
            receiver = Receiver()
            receiver.get(receiver.seal.record(DATA, b"1"))
            wire = receiver.seal.record(DATA, b"all")
            wire += receiver.seal.record(ALERT, CLOSE_NOTIFY)
            receiver.get(wire[:cut])
            if cut < len(wire):
                self.assertIsNone(receiver.end)
                receiver.get(wire[cut:])
            self.assertIsInstance(receiver.end, SSL.ZeroReturnError)
            self.assertEqual(receiver.text, b"1all")

    def test_no_record(self) -> None:
        """What begins as no record does is seen at once, behind a whole one, too."""
        receiver = Receiver()
        receiver.get(receiver.seal.record(DATA, b"1"))
        receiver.get(receiver.seal.record(DATA, b"2") + b"GET /")
        self.assertIsInstance(receiver.end, SSL.Error)
        self.assertEqual(receiver.text, b"12")

    def test_other_suites(self) -> None:
        """Where less may stand beside the content, OpenSSL is always asked."""
        for receiver in (
            Receiver(newest=SSL.TLS1_2_VERSION),
            Receiver(suite=b"TLS_AES_128_CCM_8_SHA256"),
        ):
            for n in range(3):
                for _ in range(5):
                    receiver.peer.send(b"123456789")
                data = b"".join(drain(receiver.peer))
                self.assertEqual(receiver.get_all(data), (6, 1))
                self.assertEqual(receiver.text, b"123456789" * 5 * (n + 1))
