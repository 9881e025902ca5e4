"""A handler of requests whose bodies and replies are small."""

from __future__ import annotations

from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler

BODILESS = {204, 304}


class SmallHandler(BaseHTTPRequestHandler):
    """Reads bodies whole, chunked ones too, and says how long its replies are."""

    protocol_version = "HTTP/1.1"

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        names = {name.lower() for name in headers}
        if "content-length" not in names and status not in BODILESS:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are recorded."""
