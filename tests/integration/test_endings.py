"""Who ended a transfer, in the log of a real process."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Callable

from .case import PeersTestCase
from .peers.ending_registry import SIZE, EndingRegistry
from .peers.processes import poll

DIGEST = "sha256:" + "0" * 64
PIECE = b"x" * 100_000
SECONDS = 20.0
"""Whatever must happen soon happens within this."""


class EndingTestCase(PeersTestCase):
    """A registry that ends as the repository's name says; little patience."""

    main = "client-timeout = 1\nbody-timeout = 1.5\nmin-upload-rate = 100000"
    registry_options = "redirects = follow"
    upstream_options = "timeout = 3\nredirect-hosts = 127.0.0.1"

    def setUp(self) -> None:
        super().setUp()
        self.upstream = EndingRegistry(self.authority)
        self.addCleanup(self.upstream.stop)
        self.start_regbroker_for(self.upstream.url, self.upstream_options)

    def connect(self) -> ssl.SSLSocket:
        """A TLS connection to regbroker, for requests written by hand."""
        plain = socket.create_connection(("127.0.0.1", self.regbroker.port), SECONDS)
        secured = self.https.context.wrap_socket(plain, server_hostname="localhost")
        self.addCleanup(secured.close)
        return secured

    def send(self, method: str, target: str, *headers: str) -> ssl.SSLSocket:
        """Send the head of a request."""
        connection = self.connect()
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode())
        return connection

    def download(self, name: str) -> ssl.SSLSocket:
        """Ask for a blob."""
        return self.send("GET", f"/v2/team/{name}/blobs/{DIGEST}")

    def begun(self, name: str) -> ssl.SSLSocket:
        """A blob in the middle of its way."""
        connection = self.download(name)
        self.assertRegex(self.read_head(connection), "^HTTP/1.1 200 ")
        self.assertNotEqual(connection.recv(1000), b"")
        return connection

    def upload(self, name: str) -> ssl.SSLSocket:
        """An upload whose first bytes have arrived."""
        connection = self.send(
            "PATCH", f"/v2/team/{name}/blobs/uploads/1", f"Content-Length: {SIZE}"
        )
        connection.sendall(PIECE)
        if name != "deaf":
            self.assertTrue(self.upstream.first_bytes.wait(SECONDS))
        return connection

    def token(self, name: str) -> ssl.SSLSocket:
        """Ask for a token."""
        query = f"service=s&scope=repository:team/{name}:pull"
        return self.send("GET", f"/auth?{query}")

    def read_head(self, connection: socket.socket) -> str:
        """The next status line and headers."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            self.assertNotEqual(byte, b"", f"closed after {head!r}")
            head += byte
        return head.decode()

    def assert_status(self, connection: socket.socket, status: int) -> None:
        """The next reply has this status."""
        self.assertRegex(self.read_head(connection), f"^HTTP/1.1 {status} ")

    def assert_cause(self, cause: str, words: str = "") -> None:
        """The log's one line about a request says this."""
        lines: list[str] = []

        def look() -> bool:
            lines[:] = [
                line for line in self.regbroker.log().splitlines() if " cause=" in line
            ]
            return bool(lines)

        poll(look, "a line about the request", SECONDS)
        self.assertEqual(len(lines), 1, lines)
        match = re.search(r' cause=(\S+) outcome="?([^"]*)', lines[0])
        assert match is not None, lines
        self.assertEqual(match[1], cause, lines[0])
        self.assertIn(words, match[2])

    def drip(self, connection: socket.socket) -> None:
        """Send a byte now and then, until there is an answer."""
        connection.settimeout(0.05)

        def answered() -> bool:
            connection.send(b"x")
            try:
                return bool(connection.recv(1))
            except TimeoutError:
                return False

        poll(answered, "an answer", SECONDS)


class ClientTests(EndingTestCase):
    """The client did it."""

    def test_leaves_a_download(self) -> None:
        """It hangs up."""
        self.begun("endless").close()
        self.assert_cause("client-left", "the client closed the connection")

    def test_leaves_an_upload(self) -> None:
        """It hangs up."""
        self.upload("patient").close()
        self.assert_cause("client-left", "the client closed the connection")

    def test_leaves_a_storage(self) -> None:
        """It hangs up."""
        self.begun("moved/endless").close()
        self.assert_cause("client-left", "the client closed the connection")

    def test_leaves_a_token(self) -> None:
        """It hangs up while the token service is asked."""
        connection = self.token("silent")
        self.assertTrue(self.upstream.first_bytes.wait(SECONDS))
        connection.close()
        self.assert_cause("client-left", "the client closed the connection")

    def test_sends_nothing(self) -> None:
        """Its upload stops."""
        self.assert_status(self.upload("patient"), 408)
        self.assert_cause("client-idle", "nothing of its body for 1 s")

    def test_sends_nothing_of_a_form(self) -> None:
        """Its token request stops."""
        connection = self.send("POST", "/auth", "Content-Length: 100")
        self.assert_status(connection, 408)
        self.assert_cause("client-idle", "nothing of its body for 1 s")

    def test_drips(self) -> None:
        """Its upload would last for years."""
        self.drip(self.upload("patient"))
        self.assert_cause("client-slow", "more slowly than 100000 bytes per second")

    def test_drips_a_form(self) -> None:
        """So would its token request."""
        self.drip(self.send("POST", "/auth", "Content-Length: 1000"))
        self.assert_cause("client-slow", "not complete after 1.5 s")

    def test_reads_nothing(self) -> None:
        """It takes nothing of its download."""
        self.begun("endless")
        self.assert_cause("client-not-reading", "the client read nothing for 3 s")

    def test_breaks_http(self) -> None:
        """A chunk is none."""
        connection = self.send(
            "PATCH", "/v2/team/patient/blobs/uploads/1", "Transfer-Encoding: chunked"
        )
        connection.sendall(b"nonsense\r\n")
        self.assert_status(connection, 400)
        self.assert_cause("client-malformed", "no well-formed")

    def test_sends_too_much(self) -> None:
        """A form is larger than forms are."""
        connection = self.send("POST", "/auth", "Content-Length: 1000000")
        self.assert_status(connection, 413)
        self.assert_cause("bound-reached", "at most 65536 bytes")


class UpstreamTests(EndingTestCase):
    """The upstream did it, its storage or its token service."""

    def check(
        self,
        asked: Callable[[str], ssl.SSLSocket],
        name: str,
        status: int,
        cause: str,
        words: str = "",
    ) -> None:
        """A request that ends in this way."""
        connection = asked(name)
        if status != 200:
            self.assert_status(connection, status)
        self.assert_cause(cause, words)

    def test_breaks_off(self) -> None:
        """Half of a blob."""
        self.check(self.begun, "half", 200, "upstream-broke-off", "the upstream broke")

    def test_falls_silent(self) -> None:
        """Half of a blob, and then nothing."""
        self.check(self.begun, "silent", 200, "upstream-idle", "sent nothing for 3 s")

    def test_hangs_up(self) -> None:
        """No answer at all."""
        self.check(
            self.download, "mute", 503, "upstream-broke-off", "without an answer"
        )

    def test_speaks_something_else(self) -> None:
        """An answer that is none."""
        self.check(self.download, "nonsense", 502, "upstream-malformed", "not HTTP")

    def test_is_down(self) -> None:
        """Nobody there."""
        self.upstream.stop()
        self.check(self.download, "half", 503, "upstream-unreachable", "be reached")

    def test_does_not_read(self) -> None:
        """An upload that goes nowhere."""
        connection = self.upload("deaf")
        connection.setblocking(False)

        def refused() -> bool:
            # Once it is refused, the connection ends on this side, too.
            with contextlib.suppress(ssl.SSLError, OSError):
                connection.send(PIECE)
            try:
                return connection.recv(12) == b"HTTP/1.1 504"
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return False

        poll(refused, "504", SECONDS)
        self.assert_cause("upstream-not-reading", "took nothing of the body for 3 s")

    def test_breaks_off_an_upload(self) -> None:
        """It hangs up in the middle."""
        self.check(self.upload, "quitting", 503, "upstream-broke-off")

    def test_storage_breaks_off(self) -> None:
        """Half of a blob."""
        self.check(
            self.begun, "moved/half", 200, "storage-broke-off", "the storage broke"
        )

    def test_storage_falls_silent(self) -> None:
        """Half of a blob, and then nothing."""
        self.check(self.begun, "moved/silent", 200, "storage-idle", "nothing for 3 s")

    def test_storage_hangs_up(self) -> None:
        """No answer at all."""
        self.check(self.download, "moved/mute", 503, "storage-broke-off")

    def test_token_service_hangs_up(self) -> None:
        """No answer at all."""
        self.check(self.token, "mute", 503, "tokens-broke-off", "token service")

    def test_token_service_speaks_something_else(self) -> None:
        """An answer that is none."""
        self.check(self.token, "nonsense", 502, "tokens-malformed", "token service")

    def test_token_service_sends_too_much(self) -> None:
        """A token without end."""
        self.check(self.token, "endless", 502, "bound-reached", "token service")


class StoppedTests(EndingTestCase):
    """The operator did it: SIGTERM."""

    def assert_stopped(self, connection: socket.socket) -> None:
        """The process ends at once, and its log says that it was stopped."""
        self.regbroker.stop()
        self.assert_cause("stopped", "regbroker was stopped")
        self.assertNotIn("broke off", self.regbroker.log())
        self.assertNotIn("Traceback", self.regbroker.log())
        connection.close()

    def test_download(self) -> None:
        """In the middle of a blob: the client cannot take it for a whole one."""
        connection = self.begun("silent")
        self.regbroker.stop()
        received = 0
        with contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                received += len(data)
        self.assertLess(received, SIZE)
        self.assert_stopped(connection)

    def test_busy_download(self) -> None:
        """While bytes flow."""
        self.assert_stopped(self.begun("endless"))

    def test_storage(self) -> None:
        """In the middle of a blob that comes from the storage."""
        self.assert_stopped(self.begun("moved/silent"))

    def test_upload(self) -> None:
        """In the middle of an upload."""
        connection = self.upload("patient")
        self.regbroker.stop()
        self.assert_status(connection, 503)
        self.assert_stopped(connection)

    def test_no_answer_yet(self) -> None:
        """Before the upstream has answered a token request."""
        connection = self.token("silent")
        self.assertTrue(self.upstream.first_bytes.wait(SECONDS))
        self.regbroker.stop()
        self.assert_status(connection, 503)
        self.assert_stopped(connection)
