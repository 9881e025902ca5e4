"""A load balancer that ends TLS and passes bytes on, as ELB and HAProxy do for TCP."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
from pathlib import Path

from .certificates import Authority
from .front import Front, shut

CHUNK = 1 << 16


class Balancer(Front):
    """Listens as `localhost` over TLS; what comes goes to `target` in the clear.

    With `proxy_line` each connection to the target begins with a PROXY line that
    tells the client's address.
    """

    def __init__(self, authority: Authority, *, proxy_line: bool = False) -> None:
        self.target = 0
        self.proxy_line = proxy_line
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as directory:
            pair = authority.issue("localhost", "127.0.0.1")
            self._context.load_cert_chain(*pair.write(Path(directory), "balancer"))
        super().__init__()
        self.host = f"localhost:{self.port}"

    def serve(self, client: socket.socket, address: tuple[str, int]) -> None:
        """End TLS, and pass everything on."""
        with contextlib.suppress(OSError):
            outside = self._context.wrap_socket(client, server_side=True)
            inside = socket.create_connection(("127.0.0.1", self.target))
            self.opened(outside, inside)
            if self.proxy_line:
                host, port = address
                line = f"PROXY TCP4 {host} 127.0.0.1 {port} {self.port}\r\n"
                inside.sendall(line.encode())
            self.start(_pass_on, inside, outside)
            _pass_on(outside, inside)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    # both directions end: HTTP has no use for half a connection
    shut(source)
    shut(target)
