"""A registry without accounts that breaks off, answers early, and watches clients."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from .certificates import Authority
from .threaded import TlsServer

UPLOAD = "/v2/acme_team/app/blobs/uploads/1"
BLOB_SIZE = 1 << 20
PIECE = b"p" * (1 << 16)


class AbruptRegistry:
    """What it does depends on the repository that is asked for.

    - `acme_team/length`, `acme_team/chunks`: half of a blob, then it hangs up
    - `acme_team/endless`: a blob that goes on until the client has gone
    - `acme_team/refusing`: 413 as soon as an upload's headers are in
    - `acme_team/patient`: takes an upload to its end
    """

    def __init__(self, authority: Authority) -> None:
        self.first_bytes = threading.Event()
        self.client_gone = threading.Event()
        self.received = 0

        class Handler(_AbruptHandler):
            registry = self

        self._server = TlsServer(authority.issue("127.0.0.1"), Handler)
        self.url = f"https://127.0.0.1:{self._server.port}"

    def stop(self) -> None:
        """Stop listening and close every connection."""
        self._server.stop()


class _AbruptHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: ClassVar[AbruptRegistry]

    def do_GET(self) -> None:
        repository = self.path.split("/")[3:4]
        if repository == ["length"]:
            self._send_head(200, {"Content-Length": str(BLOB_SIZE)})
            self.wfile.write(PIECE)
            self.close_connection = True
        elif repository == ["chunks"]:
            self._send_head(200, {"Transfer-Encoding": "chunked"})
            self.wfile.write(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
            self.close_connection = True
        elif repository == ["endless"]:
            self._send_head(200, {"Content-Length": str(1 << 40)})
            self._write_until_gone()
        else:
            self._send_head(200, {"Content-Length": "0"})

    def do_PATCH(self) -> None:
        self.close_connection = True
        if "/refusing/" in self.path:
            body = b'{"errors":[{"code":"SIZE_INVALID","message":"acme_team is full"}]}'
            headers = {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Connection": "close",
            }
            self._send_head(413, headers)
            self.wfile.write(body)
            self._read_all()
        elif self._read_all() == int(self.headers["Content-Length"]):
            self._send_head(202, {"Location": UPLOAD, "Content-Length": "0"})
        else:
            self.registry.client_gone.set()

    def handle_expect_100(self) -> bool:
        """Wait with it until the body is wanted, which is in `_read_all`."""
        return True

    def _read_all(self) -> int:
        done = 0
        length = int(self.headers["Content-Length"])
        while done < length:
            try:
                data = self.rfile.read1(len(PIECE))
            except OSError:
                break
            if not data:
                break
            done += len(data)
            self.registry.received += len(data)
            self.registry.first_bytes.set()
        return done

    def _write_until_gone(self) -> None:
        try:
            while True:
                self.wfile.write(PIECE)
        except OSError:
            self.registry.client_gone.set()

    def _send_head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
