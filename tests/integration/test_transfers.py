"""Bodies that stop half way, on one side or the other."""

from __future__ import annotations

import http.client
import socket

from .case import UPSTREAM_WORDS, PeersTestCase
from .peers.abrupt_registry import AbruptRegistry
from .peers.processes import poll

DIGEST = "sha256:" + "0" * 64
UPLOAD_SIZE = 64 << 20
PIECE = b"x" * 100_000
SECONDS = 20.0
"""Whatever must happen at once happens within this."""


class TransferTests(PeersTestCase):
    """What breaks on one side is seen to break on the other."""

    def setUp(self) -> None:
        super().setUp()
        self.abrupt = AbruptRegistry(self.authority)
        self.addCleanup(self.abrupt.stop)
        self.start_regbroker_for(self.abrupt.url)

    def connect(self) -> socket.socket:
        """A TLS connection to regbroker, for requests written by hand."""
        plain = socket.create_connection(("127.0.0.1", self.regbroker.port), SECONDS)
        secured = self.https.context.wrap_socket(plain, server_hostname="localhost")
        self.addCleanup(secured.close)
        return secured

    def begin_upload(self, name: str, *headers: str) -> socket.socket:
        """Send the head of an upload, without a byte of its body."""
        lines = [
            f"PATCH /v2/team/{name}/blobs/uploads/1 HTTP/1.1",
            f"Host: {self.regbroker.host}",
            "Content-Type: application/octet-stream",
            f"Content-Length: {UPLOAD_SIZE}",
            *headers,
        ]
        connection = self.connect()
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return connection

    def read_head(self, connection: socket.socket) -> str:
        """The next status line and headers."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            self.assertNotEqual(byte, b"", f"closed after {head!r}")
            head += byte
        return head.decode()

    def test_upstream_hangs_up_in_a_download(self) -> None:
        """The client cannot take half a blob for a whole one."""
        for name in ("length", "chunks"):
            connection = http.client.HTTPSConnection(
                "localhost",
                self.regbroker.port,
                context=self.https.context,
                timeout=SECONDS,
            )
            self.addCleanup(connection.close)
            connection.request("GET", f"/v2/team/{name}/blobs/{DIGEST}")
            with self.assertRaises((http.client.HTTPException, OSError)) as raised:
                connection.getresponse().read()
            self.assertNotIsInstance(raised.exception, TimeoutError)

    def test_upload_flows_at_once(self) -> None:
        """The upstream reads the first bytes before the client has the last."""
        connection = self.begin_upload("patient")
        connection.sendall(PIECE)
        poll(lambda: self.abrupt.received >= len(PIECE), "the first bytes", SECONDS)
        left = UPLOAD_SIZE - len(PIECE)
        while left:
            left -= connection.send(bytes(min(left, 1 << 20)))
        self.assertRegex(self.read_head(connection), "^HTTP/1.1 202 ")
        self.assertEqual(self.abrupt.received, UPLOAD_SIZE)

    def test_early_refusal(self) -> None:
        """The client learns that its upload is refused while it still sends."""
        connection = self.begin_upload("refusing")
        connection.sendall(PIECE)
        head = self.read_head(connection)
        self.assertRegex(head, "^HTTP/1.1 413 ")
        body = connection.recv(10_000).decode()
        self.assertIn("SIZE_INVALID", body)
        self.transcript.add("the early refusal", head + body)
        self.assertEqual(self.transcript.occurrences(UPSTREAM_WORDS), [])

    def test_refusal_instead_of_100_continue(self) -> None:
        """A client that waits to be asked for its body is not asked in vain."""
        connection = self.begin_upload("refusing", "Expect: 100-continue")
        self.assertRegex(self.read_head(connection), "^HTTP/1.1 413 ")

    def test_100_continue(self) -> None:
        """A client that waits to be asked for its body is asked."""
        connection = self.begin_upload("patient", "Expect: 100-continue")
        self.assertRegex(self.read_head(connection), "^HTTP/1.1 100 ")

    def test_unmapped_upload_is_not_asked_for(self) -> None:
        """What regbroker refuses itself it refuses without the body."""
        connection = self.connect()
        connection.sendall(
            b"PATCH /v2/elsewhere/app/blobs/uploads/1 HTTP/1.1\r\n"
            b"Host: localhost\r\nContent-Length: 100\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        self.assertRegex(self.read_head(connection), "^HTTP/1.1 404 ")

    def test_client_leaves_an_upload(self) -> None:
        """The upstream is not kept waiting for the rest."""
        connection = self.begin_upload("patient")
        connection.sendall(PIECE)
        self.assertTrue(self.abrupt.first_bytes.wait(SECONDS))
        connection.close()
        self.assertTrue(self.abrupt.client_gone.wait(SECONDS))

    def test_client_leaves_a_download(self) -> None:
        """The upstream need not send what nobody reads."""
        connection = self.connect()
        request = f"GET /v2/team/endless/blobs/{DIGEST} HTTP/1.1\r\nHost: localhost\r\n"
        connection.sendall(request.encode() + b"\r\n")
        self.assertRegex(self.read_head(connection), "^HTTP/1.1 200 ")
        connection.recv(100_000)
        connection.close()
        self.assertTrue(self.abrupt.client_gone.wait(SECONDS))
