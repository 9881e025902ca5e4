"""A registry, its storage and its token service, each of which breaks off as asked."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from .certificates import Authority
from .threaded import TlsServer

SIZE = 1 << 30
PIECE = b"p" * (1 << 16)
GONE_SECONDS = 30.0
"""Nobody is waited for longer than this."""


class EndingRegistry:
    """How it ends depends on the last part of the repository's name.

    Blobs of `acme_team/…`, of the storage for `acme_team/moved/…`, and tokens for
    them:

    - `half`: a part, then the connection's end
    - `silent`: a part, then nothing
    - `mute`: nothing at all, and then the connection's end
    - `nonsense`: what is not HTTP
    - `endless`: more than anybody wants

    Uploads: `patient` reads all, `deaf` nothing, `quitting` the first bytes.
    """

    def __init__(self, authority: Authority) -> None:
        self.released = threading.Event()
        self.first_bytes = threading.Event()

        class Handler(_Handler):
            registry = self

        self._storage = TlsServer(authority.issue("127.0.0.1"), Handler)
        self._server = TlsServer(authority.issue("127.0.0.1"), Handler)
        self.url = f"https://127.0.0.1:{self._server.port}"
        self.storage_url = f"https://127.0.0.1:{self._storage.port}"

    def stop(self) -> None:
        """Stop listening and close every connection."""
        self.released.set()
        self._server.stop()
        self._storage.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: ClassVar[EndingRegistry]

    def do_GET(self) -> None:
        if self.path == "/v2/":
            realm = f"{self.registry.url}/token"
            self._head(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'})
        elif self.path.startswith("/v2/acme_team/moved/"):
            place = self.path.removeprefix("/v2/acme_team/moved/")
            self._head(307, {"Location": f"{self.registry.storage_url}/{place}"})
        else:
            self._end_as(self.path)

    def _end_as(self, path: str) -> None:
        self.close_connection = True
        if "nonsense" in path:
            self.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")
            return
        if "mute" in path:
            return
        self._head(200, {}, SIZE)
        self.wfile.write(PIECE)
        self.registry.first_bytes.set()
        if "silent" in path:
            self.rfile.read(1)
        while "endless" in path:
            try:
                self.wfile.write(PIECE)
            except OSError:
                return

    def do_PATCH(self) -> None:
        self.close_connection = True
        if "/deaf/" in self.path:
            self.registry.released.wait(GONE_SECONDS)
            return
        # In chunks there is no length: all that comes is read.
        left = int(self.headers.get("Content-Length", SIZE))
        while left:
            data = self.rfile.read1(min(left, len(PIECE)))
            self.registry.first_bytes.set()
            if not data or "/quitting/" in self.path:
                return
            left -= len(data)
        self._head(202, {})

    def _head(self, status: int, headers: dict[str, str], length: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
