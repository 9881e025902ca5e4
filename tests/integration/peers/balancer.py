"""A load balancer that ends TLS and passes bytes on, as ELB and HAProxy do for TCP."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
from pathlib import Path

from .certificates import Authority

CHUNK = 1 << 16


class Balancer:
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
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.host = f"localhost:{self.port}"
        self._open: set[socket.socket] = set()
        self._start(self._accept)

    def stop(self) -> None:
        """Stop listening, and close every connection."""
        _shut(self._listening)
        self._listening.close()
        for one in list(self._open):
            _shut(one)

    def _start(self, work: object, *arguments: object) -> None:
        assert callable(work)
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._start(self._serve, *self._listening.accept())

    def _serve(self, raw: socket.socket, client: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            outside = self._context.wrap_socket(raw, server_side=True)
            inside = socket.create_connection(("127.0.0.1", self.target))
            self._open |= {outside, inside}
            if self.proxy_line:
                address, port = client
                line = f"PROXY TCP4 {address} 127.0.0.1 {port} {self.port}\r\n"
                inside.sendall(line.encode())
            self._start(_pass_on, inside, outside)
            _pass_on(outside, inside)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    # both directions end: HTTP has no use for half a connection
    _shut(source)
    _shut(target)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
