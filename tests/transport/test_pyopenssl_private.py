"""What regbroker uses of pyOpenSSL though it is private, beside what is public."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.pyopenssl_private import (
    MOST_BYTES,
    RECORD_BYTES,
    read_bio,
    receive,
    refused_certificate,
    send,
)
from regbroker.transport.tls.memory_bios import SEALED_BYTES
from regbroker.transport.tls.peer_end import is_end_of_file
from tests.certificates import authority, issued

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


class Pair:
    """
    A client and a server through memory, after their handshake.

    `seal` makes records as the client does, beside it.
    """

    def __init__(self, newest: int = SSL.TLS1_3_VERSION) -> None:
        pair = issued("a.test")
        context = certificate_options(pair.certificate, pair.key).getContext()
        secrets: dict[str, bytes] = {}

        def note(_: Any, line: bytes) -> None:
            name, _, secret = line.decode("ascii").split()
            secrets[name] = bytes.fromhex(secret)

        context.set_keylog_callback(note)
        trusting = SSL.Context(SSL.TLS_METHOD)
        trusting.set_max_proto_version(newest)
        trusting.set_tls13_ciphersuites(b"TLS_AES_256_GCM_SHA384")
        self.server = SSL.Connection(context, None)
        self.server.set_accept_state()
        self.client = SSL.Connection(trusting, None)
        self.client.set_connect_state()
        for one, other in ((self.client, self.server), (self.server, self.client)) * 3:
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            if sent := read_bio(one, MOST_BYTES):
                other.bio_write(sent)
        if newest == SSL.TLS1_3_VERSION:
            self.seal = Sealer(secrets["CLIENT_TRAFFIC_SECRET_0"], 0)

    def sent(self, *pieces: bytes) -> bytes:
        """What the client sends for some pieces, each in records of its own."""
        for each in pieces:
            self.client.sendall(each)
        return b"".join(iter(lambda: read_bio(self.client, MOST_BYTES), b""))


def problem_of(act: Callable[..., object], *arguments: Any) -> SSL.Error | None:
    """What pyOpenSSL's own method raises."""
    try:
        act(*arguments)
    except SSL.Error as error:
        return error
    return None


class ReceiveTests(SynchronousTestCase):
    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_all_at_once(self, draw: st.DataObject) -> None:
        """Whatever is whole is received with its last byte, and none before."""
        pair = Pair()
        sizes = st.integers(0, 60) | st.integers(0, RECORD_BYTES)
        kinds = st.lists(
            st.tuples(st.sampled_from(("data", "padded", "update")), sizes),
            min_size=1,
            max_size=12,
        )
        wire, text = b"", b""
        ends: list[tuple[int, int]] = []
        for kind, size in draw.draw(kinds):
            content = (
                b"" if kind == "update" else draw.draw(st.randoms()).randbytes(size)
            )
            if kind == "update":
                wire += pair.seal.key_update()
            else:
                room = min(RECORD_BYTES - size, 300) * (kind == "padded")
                padding = draw.draw(st.integers(0, room))
                wire += pair.seal.record(DATA, content, padding)
            text += content
            ends.append((len(wire), len(text)))
        cuts = st.integers(1, 60) | st.integers(1, 2 * SEALED_BYTES)
        given, got = 0, b""
        while given < len(wire):
            # Often just where a record ends, or a byte beside that.
            near = [end - given + n for end, _ in ends for n in (-1, 0, 1)]
            near = [size for size in near if size > 0]
            size = draw.draw(st.sampled_from(near) | cuts if near else cuts)
            pair.server.bio_write(wire[given : given + size])
            some, problem = receive(pair.server)
            got += some
            given += size
            whole = max((size for end, size in ends if end <= given), default=0)
            self.assertEqual((got, problem), (text[:whole], None))

    def test_nothing(self) -> None:
        """Where pyOpenSSL raises that it wants to read, there is nothing, no error."""
        server = Pair().server
        self.assertIsInstance(problem_of(server.recv, 1), SSL.WantReadError)
        self.assertEqual(receive(server), (b"", None))

    def test_bounds(self) -> None:
        """No record is begun beyond the bytes, the records, or one that is not full."""
        full = bytes(RECORD_BYTES)
        pair = Pair()
        pair.server.bio_write(pair.sent(full, full, b"a", b"b", full, b"c"))
        for size, records, many, got in (
            (1, 9, True, full),
            (9 * RECORD_BYTES, 9, False, full + b"a"),
            (9 * RECORD_BYTES, 9, False, b"b"),
            (RECORD_BYTES, 0, True, b""),
            (9 * RECORD_BYTES, 2, True, full + b"c"),
        ):
            self.assertEqual(receive(pair.server, size, records, many), (got, None))

    def test_most(self) -> None:
        """More than the buffer has room for comes next time."""
        pair = Pair()
        data = bytes(range(256)) * (2 * MOST_BYTES // 256)
        pair.server.bio_write(pair.sent(data))
        got = []
        while (some := receive(pair.server, 9 * MOST_BYTES, 9999))[0]:
            self.assertIsNone(some[1])
            got.append(some[0])
        self.assertEqual(b"".join(got), data)
        self.assertEqual(len(got[0]), MOST_BYTES)

    def test_ends(self) -> None:
        """What ends a stream is what pyOpenSSL raises, behind what came before it."""
        for newest in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            for name in ("close", "cut", "broken", "text"):
                problems: list[SSL.Error | None] = []
                for is_public in (True, False):
                    pair = Pair(newest)
                    pair.server.bio_write(pair.sent(b"all"))
                    if name == "close":
                        pair.client.shutdown()
                        pair.server.bio_write(read_bio(pair.client, MOST_BYTES))
                    elif name == "cut":
                        pair.server.bio_shutdown()
                    elif name == "broken":
                        pair.server.bio_write(b"\x17\x03\x03\x00\x20" + bytes(32))
                    else:
                        pair.server.bio_write(b"GET / HTTP/1.1\r\n")
                    recv = pair.server.recv
                    if is_public:
                        self.assertEqual(recv(9), b"all")
                        problems.append(problem_of(recv, 9))
                    else:
                        data, problem = receive(pair.server)
                        self.assertEqual(data, b"all")
                        problems.append(problem)
                        # Nothing of it is left for whoever asks OpenSSL next.
                        self.assertEqual(receive(Pair().server, 9, 9), (b"", None))
                public, ours = problems
                self.assertEqual(type(ours), type(public), name)
                self.assertEqual(ours and ours.args, public and public.args, name)
                self.assertIsNone(ours and ours.__traceback__)

    def test_close_anywhere(self) -> None:
        """The end is seen with its last byte, also right behind data."""
        for cut in range(1, 60):
            pair = Pair()
            wire = pair.seal.record(DATA, b"all")
            wire += pair.seal.record(ALERT, CLOSE_NOTIFY)
            pair.server.bio_write(wire[:cut])
            data, end = receive(pair.server)
            if cut < len(wire):
                self.assertIsNone(end)
                pair.server.bio_write(wire[cut:])
                more, end = receive(pair.server)
                data += more
            self.assertIsInstance(end, SSL.ZeroReturnError)
            self.assertEqual(data, b"all")

    def test_threads(self) -> None:
        """Each thread has a buffer of its own, since OpenSSL lets others run."""
        received: list[bool] = []

        def exchange(letter: bytes) -> None:
            pair = Pair()
            for _ in range(60):
                pair.server.bio_write(pair.sent(letter * MOST_BYTES))
                got = receive(pair.server)[0]
                got += receive(pair.server)[0]
                received.append(got == letter * MOST_BYTES)

        threads = [Thread(target=exchange, args=(letter,)) for letter in (b"a", b"b")]
        for each in threads:
            each.start()
        for each in threads:
            each.join(120)
        self.assertEqual(received, [True] * 120)


class SendTests(SynchronousTestCase):
    def sockets(self) -> tuple[SSL.Connection, SSL.Connection]:
        """A client and a server over a pair of sockets, after their handshake."""
        ends = socket.socketpair()
        pair = issued("a.test")
        context = certificate_options(pair.certificate, pair.key).getContext()
        client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), ends[0])
        client.set_connect_state()
        server = SSL.Connection(context, ends[1])
        server.set_accept_state()
        for each in ends:
            each.setblocking(False)
            self.addCleanup(each.close)
        for end in (client, server) * 3:
            with contextlib.suppress(SSL.WantReadError):
                end.do_handshake()
        return client, server

    def test_kinds(self) -> None:
        """Bytes and views of them are sent as pyOpenSSL sends them."""
        client, server = self.sockets()
        for data in b"bytes", memoryview(b"a view")[2:]:
            self.assertEqual(send(client, data), len(data))
            self.assertEqual(server.recv(99), bytes(data))

    def test_full(self) -> None:
        """A socket that takes no more raises, and goes on with the same bytes."""
        client, server = self.sockets()
        block = bytes(range(256)) * 64
        sent = 0
        with self.assertRaises(SSL.WantWriteError):
            while True:
                sent += send(client, block)
        got = b""
        while len(got) < sent:
            got += receive(server)[0]
        self.assertEqual(send(client, block), len(block))
        got += receive(server)[0]
        self.assertEqual(got, block * (len(got) // len(block)))
        self.assertEqual(len(got), sent + len(block))

    def test_gone(self) -> None:
        """A peer that has gone is the same error as pyOpenSSL's, both ways."""
        for act in send, SSL.Connection.send:
            client, _ = self.sockets()
            client.sock_shutdown(socket.SHUT_RDWR)
            error = problem_of(act, client, b"x")
            self.assertIsInstance(error, SSL.SysCallError)
            assert error is not None
            self.assertEqual(error.args, (32, "EPIPE"))
        ends: list[Any] = []
        for is_public in (True, False):
            client, server = self.sockets()
            # Tickets, which give nothing.
            self.assertEqual(receive(client), (b"", None))
            server.sock_shutdown(socket.SHUT_RDWR)
            if is_public:
                ends.append(problem_of(client.recv, 9))
            else:
                ends.append(receive(client)[1])
        public, ours = ends
        self.assertEqual((type(ours), ours.args), (type(public), public.args))
        self.assertTrue(is_end_of_file(ours))


class ReadBioTests(SynchronousTestCase):
    def test_as_pyopenssl(self) -> None:
        """It is what `bio_read` returns, in pieces of so many bytes at most."""
        pair = Pair()
        self.assertIsInstance(problem_of(pair.server.bio_read, 9), SSL.WantReadError)
        self.assertEqual(read_bio(pair.server, 9), b"")
        pair.client.send(b"question")
        first = pair.client.bio_read(MOST_BYTES)
        pair.client.send(b"question")
        size = len(first)
        pieces = [read_bio(pair.client, 5) for _ in range(size // 5 + 1)]
        self.assertEqual({len(piece) for piece in pieces[:-1]}, {5})
        self.assertEqual(read_bio(pair.client, 5), b"")
        pair.server.bio_write(first + b"".join(pieces))
        self.assertEqual(receive(pair.server), (b"question" * 2, None))


class RefusedCertificateTests(SynchronousTestCase):
    def refusal(self, shown: bytes, key: bytes, trusted: str) -> str:
        """What a client says of this certificate that trusts this authority."""
        server_context = certificate_options(shown, key).getContext()
        context = SSL.Context(SSL.TLS_METHOD)
        store = context.get_cert_store()
        assert store is not None
        store.add_cert(crypto.X509.from_cryptography(authority(trusted).loaded()))
        context.set_verify(SSL.VERIFY_PEER)
        client = SSL.Connection(context, None)
        server = SSL.Connection(server_context, None)
        client.set_connect_state()
        server.set_accept_state()
        for near, far in [(client, server), (server, client)] * 3:
            with contextlib.suppress(SSL.Error):
                near.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                far.bio_write(near.bio_read(MOST_BYTES))
        return refused_certificate(client)

    def test_words(self) -> None:
        """They are OpenSSL's; there are none for a certificate that is good."""
        good, over = issued("a.test"), issued("a.test", days=-1)
        for pair, trusted, words in (
            (good, "Test CA", ""),
            (over, "Test CA", "certificate has expired"),
            (good, "Other CA", "unable to get local issuer certificate"),
        ):
            found = self.refusal(pair.certificate, pair.key, trusted)
            self.assertEqual(found, words)
