"""What the operator reads about a request."""

from __future__ import annotations

import socket
import ssl

from .case import RegbrokerTestCase
from .peers.processes import poll


class LogTests(RegbrokerTestCase):
    """One line for each request; that it keeps secrets is held in every test."""

    def lines(self, *words: str) -> list[str]:
        """The log's lines that have all these words, once there is one."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [
                line
                for line in self.regbroker.log().splitlines()
                if all(word in line for word in words)
            ]
            return bool(found)

        poll(look, f"a line with {words}")
        return found

    def test_relayed(self) -> None:
        """Both names, the user, the registry and the upstream stand in one line."""
        alice = self.token("alice", "repository:team/app:pull")
        self.https.request("GET", "/v2/team/app/manifests/none", alice)
        lines = self.lines("/v2/team/app/manifests/none")
        self.assertEqual(len(lines), 1, lines)
        for word in ("alice", "127.0.0.1", "localhost", "acme_team/app", "404", "GET"):
            self.assertIn(word, lines[0])

    def test_malformed(self) -> None:
        """What is no request has a line; its sender sees the end with the answer."""
        context = ssl.create_default_context(cadata=self.root_pem.decode())
        for raw, reason in (
            (b"nonsense\r\n\r\n", "METHOD TARGET HTTP/1.1"),
            (b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n", "Host"),
        ):
            with (
                socket.create_connection(("127.0.0.1", self.regbroker.port)) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as client,
            ):
                client.sendall(raw)
                answer = b"".join(iter(lambda: client.recv(65536), b""))
                # Below TLS, too, this is the end, though our own side is open.
                self.assertEqual(plain_end(client), b"")
            self.assertRegex(answer, rb"(?s)^HTTP/1.1 400 .*\{.*\}\n$")
            (line,) = self.lines("malformed: ", reason)
            self.assertIn("client=127.0.0.1 ", line)

    def test_refused(self) -> None:
        """A request that went nowhere has a line too."""
        self.https.request("GET", "/v2/elsewhere/app/manifests/1")
        lines = self.lines("/v2/elsewhere/app/manifests/1")
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("404", lines[0])


def plain_end(client: ssl.SSLSocket) -> bytes:
    """Read what comes below TLS, up to the end, without answering its end."""
    with socket.socket(fileno=socket.dup(client.fileno())) as below:
        below.settimeout(60)
        return below.recv(65536)
